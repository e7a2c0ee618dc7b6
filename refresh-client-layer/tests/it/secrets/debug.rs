//! Every public type, and what it prints: nothing secret (law S4).

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use keyring_core::CredentialStore;
use refresh_client_layer::dpop::DpopKey;
use refresh_client_layer::replay::{ReplayError, record};
use refresh_client_layer::reqwest::{RequestError, ReqwestService};
use refresh_client_layer::reqwest_middleware::RefreshMiddleware;
use refresh_client_layer::test_util::TokenServer;
use refresh_client_layer::{
    AuthClient, FileStore, FileStoreError, HttpRefresher, IdempotencyKey, KeyringStore,
    KeyringStoreError, LoadError, LoadErrorKind, MemoryStore, Origin, RefreshError, RefreshLayer,
    RefreshRequest, SessionKey, StoredTokens, TokenError, TokenManager, TokenManagers, TokenSet,
    TokenStore,
};
use tower::{Layer as _, Service as _, ServiceExt as _};

use crate::support::records::{Records as _, begun};
use crate::support::{BoxError, World};

const ACCESS: &str = "the-access-token";
const REFRESH: &str = "the-refresh-token";
const CLIENT_SECRET: &str = "the-client-secret";
const BODY: &str = "the-body";

/// What values print, by the names of their types.
#[derive(Default)]
struct Table(BTreeMap<String, String>);

impl Table {
    fn add<T: Debug>(&mut self, value: &T) {
        write!(self.entry::<T>(), "{value:?} {value:#?} ").unwrap();
    }

    fn add_error<E: Error + 'static>(&mut self, error: &E) {
        let text = self.entry::<E>();
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            write!(text, "{error} {error:?} {error:#?} ").unwrap();
            next = error.source();
        }
    }

    fn entry<T>(&mut self) -> &mut String {
        let path = type_name::<T>().split('<').next().unwrap();
        let name = path.rsplit("::").next().unwrap();
        self.0.entry(name.to_owned()).or_default()
    }
}

struct Secrets {
    idempotency_key: IdempotencyKey,
    dpop: DpopKey,
}

impl Secrets {
    fn new() -> Self {
        Self {
            idempotency_key: IdempotencyKey::random(),
            dpop: DpopKey::generate().unwrap(),
        }
    }

    fn tokens(&self) -> TokenSet {
        TokenSet::new(ACCESS, REFRESH).bound_to(self.dpop.clone())
    }

    async fn fill(&self, store: &impl TokenStore) {
        assert!(store.save(&self.tokens()).await.unwrap());
        let key = self.idempotency_key.clone();
        store.begin(1, key).await.unwrap().unwrap();
    }

    /// As they are written, or as a list of numbers.
    fn texts(&self) -> Vec<String> {
        let der = self.dpop.to_pkcs8();
        let numbers = format!("{:?}", &der[der.len() - 8..]);
        let fixed = [ACCESS, REFRESH, CLIENT_SECRET, BODY].map(str::to_owned);
        let mut texts = Vec::from(fixed);
        texts.push(self.idempotency_key.secret().to_owned());
        texts.push(URL_SAFE_NO_PAD.encode(&*der));
        texts.push(numbers.trim_matches(['[', ']']).to_owned());
        texts
    }
}

/// Law S4.
#[tokio::test]
async fn no_public_type_prints_a_secret() {
    let secrets = Secrets::new();
    let mut table = Table::default();
    tokens(&mut table, &secrets);
    stores(&mut table, &secrets).await;
    sessions(&mut table, &secrets).await;
    layers(&mut table, &secrets);
    clients(&mut table, &secrets).await;
    bodies(&mut table);
    errors(&mut table, &secrets).await;
    for (name, text) in &table.0 {
        for secret in secrets.texts() {
            assert!(!text.contains(&secret), "{name} prints {secret}: {text}");
        }
    }
    let missing: BTreeSet<_> = public_types()
        .into_iter()
        .filter(|name| !table.0.contains_key(name) && !HIDDEN.contains(&name.as_str()))
        .collect();
    assert_eq!(missing, BTreeSet::new(), "they belong into the table");
}

fn tokens(table: &mut Table, secrets: &Secrets) {
    let tokens = secrets.tokens();
    table.add(&tokens);
    table.add(tokens.access_token());
    table.add(&tokens.access_token().header());
    table.add(tokens.refresh_token());
    table.add(&secrets.idempotency_key);
    table.add(&secrets.dpop);
    let login = Uri::from_static("https://auth.example/login");
    let proof = secrets.dpop.proof(&Method::POST, &login).unwrap();
    assert!(proof.is_sensitive());
    table.add(&proof);
    let stored = begun(&StoredTokens::new(tokens), &secrets.idempotency_key);
    table.add(&stored);
    table.add(&stored.version());
}

async fn stores(table: &mut Table, secrets: &Secrets) {
    let memory = MemoryStore::new();
    secrets.fill(&memory).await;
    table.add(&memory);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.json");
    let file = FileStore::new(&path);
    secrets.fill(&file).await;
    table.add(&file);
    table.add(&file.lock().await.unwrap());
    fs::write(&path, format!("{{{ACCESS}")).unwrap();
    let error = file.load().await.unwrap_err();
    table.add_error(error.downcast_ref::<FileStoreError>().unwrap());

    let keychain: Arc<CredentialStore> = keyring_core::mock::Store::new().unwrap();
    let keyring = KeyringStore::in_store(keychain.clone(), "example.app", "alice");
    secrets.fill(&keyring).await;
    table.add(&keyring);
    let entry = keychain.build("example.app", "alice", None).unwrap();
    entry.set_secret(format!("{{{ACCESS}").as_bytes()).unwrap();
    let error = keyring.load().await.unwrap_err();
    table.add_error(error.downcast_ref::<KeyringStoreError>().unwrap());
}

async fn sessions(table: &mut Table, secrets: &Secrets) {
    let http = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
    });
    let refresher = HttpRefresher::oauth2("https://auth.example/token", http)
        .client_id("app")
        .client_secret(CLIENT_SECRET);
    table.add(&refresher);

    let seen = Arc::new(Mutex::new(Table::default()));
    let inside = seen.clone();
    let builder = TokenManager::builder(move |request: RefreshRequest| {
        inside.lock().unwrap().add(&request);
        async { Ok(TokenSet::new(ACCESS, REFRESH)) }
    });
    let builder = builder
        .tokens(secrets.tokens())
        .origin("https://api.example");
    table.add(&builder);
    let session = builder.build().unwrap();
    table.add(&session.events());
    session.force_refresh().await.unwrap();
    table.add(&session);
    table.0.append(&mut seen.lock().unwrap().0);

    let store = MemoryStore::new();
    secrets.fill(&store).await;
    let world = World::new();
    let builder = TokenManagers::builder(move |_: String| {
        let session = world.builder().store(store.clone());
        async { Ok::<_, LoadError>(Some(session)) }
    });
    table.add(&builder);
    let managers = builder.build();
    managers.get(&"alice".to_owned()).await.unwrap().unwrap();
    table.add(&managers);
    table.add(&SessionKey(REFRESH));
}

fn layers(table: &mut Table, secrets: &Secrets) {
    let world = World::new();
    let session = world.builder().tokens(secrets.tokens()).build().unwrap();
    let layer = RefreshLayer::new(session.clone());
    table.add(&layer);
    let http = reqwest::Client::new();
    let mut api = layer.layer(http);
    table.add(&api);
    let request = reqwest::Request::new(Method::POST, crate::support::URL.parse().unwrap());
    table.add(&api.call(request));
    table.add(&RefreshMiddleware::new(session));
}

async fn clients(table: &mut Table, secrets: &Secrets) {
    let world = World::new();
    let session = world.builder().tokens(secrets.tokens()).build().unwrap();
    let client = AuthClient::from_builder(reqwest::Client::builder(), session).unwrap();
    table.add(&client);
    let request = client.post("https://api.example/").bearer_auth(ACCESS);
    table.add(&request.body(BODY));
    table.add(&ReqwestService::new(reqwest::Client::builder()).unwrap());

    let server = TokenServer::new();
    let given = server.sign_in();
    table.add(&server);
    table.add(&server.listen().await.unwrap());
    for name in ["TokenServer", "Listening"] {
        let printed = &table.0[name];
        assert!(!printed.contains(given.access_token().secret()));
        assert!(!printed.contains(given.refresh_token().secret()));
    }
}

fn bodies(table: &mut Table) {
    let stream = Full::<Bytes>::from(BODY).map_err(BoxError::from).boxed();
    let (recorded, recording) = record(stream, 100, |it| it);
    table.add(&recorded);
    table.add(&recording);
    table.add_error(&ReplayError::<std::io::Error>::TakenBack);
}

async fn errors(table: &mut Table, secrets: &Secrets) {
    let origin = format!("https://{ACCESS}@api.example");
    table.add_error(&Origin::parse(&origin).unwrap_err());
    table.add(&Origin::parse("https://api.example").unwrap());
    let broken = TokenManager::builder(World::new())
        .tokens(TokenSet::new(format!("{ACCESS}\n"), REFRESH))
        .origin("https://api.example");
    table.add_error(&broken.build().unwrap_err());
    let not_tokens = format!(r#"{{"access_token":["{ACCESS}"]}}"#);
    table.add_error(&TokenSet::from_json(not_tokens.as_bytes()).unwrap_err());
    table.add_error(&DpopKey::from_pkcs8(ACCESS.as_bytes()).unwrap_err());
    table.add_error(&LoadError::new(LoadErrorKind::Final, "gone"));

    for (status, code) in [(500, BODY), (400, "invalid_grant")] {
        let error = refused(secrets, status, code).await;
        table.add_error(&error);
        match &error {
            TokenError::SessionEnded(ended) => table.add_error(ended),
            TokenError::RefreshUnavailable(error) => {
                table.add_error(error);
                let cause = error.source().unwrap();
                table.add_error(cause.downcast_ref::<RefreshError>().unwrap());
            }
            _ => panic!("{error}"),
        }
    }
    assert!(table.0.contains_key("SessionEnded"));

    let world = World::new();
    let session = world.builder().tokens(secrets.tokens()).build().unwrap();
    session.sign_out().await;
    let client = AuthClient::from_builder(reqwest::Client::builder(), session.clone()).unwrap();
    let request = client.post(crate::support::URL).body(BODY);
    table.add_error::<RequestError>(&request.send().await.unwrap_err());
    let call = Request::post(crate::support::URL).header("content-type", "application/grpc");
    let api = RefreshLayer::new(session).layer(world);
    let call = call.body(crate::support::Body::default()).unwrap();
    let error = api.oneshot(call).await.unwrap_err();
    table.add_error(error.downcast_ref::<tonic::Status>().unwrap());
}

/// What a session says of a token server that repeats what it was sent.
async fn refused(secrets: &Secrets, status: u16, code: &'static str) -> TokenError {
    let http = tower::service_fn(move |request: Request<Full<Bytes>>| async move {
        let sent = request.into_body().collect().await?.to_bytes();
        let sent = String::from_utf8_lossy(&sent).into_owned();
        let answer = serde_json::json!({ "error": code, "error_description": sent });
        let answer = Full::<Bytes>::from(answer.to_string());
        let response = Response::builder().status(status);
        let response = response.header("content-type", "application/json");
        Ok::<_, BoxError>(response.body(answer)?)
    });
    let refresher = HttpRefresher::oauth2("https://auth.example/token", http)
        .client_id("app")
        .client_secret(CLIENT_SECRET);
    let session = TokenManager::builder(refresher).tokens(secrets.tokens());
    let session = session.build().unwrap();
    session.force_refresh().await.unwrap_err()
}

/// The public structs and enums that can hold text: what is `Copy`, and of one type only, cannot.
fn public_types() -> Vec<String> {
    let mut types = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                types.extend(declared(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(types.len() > 30);
    types
}

fn declared(code: &str) -> Vec<String> {
    let mut types = Vec::new();
    let mut attributes = String::new();
    for line in code.lines().map(str::trim_start) {
        let declared = ["pub struct ", "pub enum "];
        if let Some(rest) = declared.iter().find_map(|it| line.strip_prefix(it)) {
            let name = rest.split(|it: char| !it.is_alphanumeric()).next().unwrap();
            if rest.contains('<') || !attributes.contains("Copy") {
                types.push(name.to_owned());
            }
        }
        match line.starts_with("#[") {
            true => attributes.push_str(line),
            false if line.is_empty() || line.ends_with(['}', ';']) => attributes.clear(),
            false => {}
        }
    }
    types
}

/// Hidden, and inside of others.
const HIDDEN: [&str; 4] = ["Head", "Source", "Spare", "Target"];
