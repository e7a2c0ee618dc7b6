// Counts the access token down.

export function countdown(session) {
  const life = document.querySelector("#life");
  const left = document.querySelector("#left");
  const tail = document.querySelector("#tail");

  const show = () => {
    const about = session.about;
    if (!about) return;
    const seconds = Math.max(0, (about.expiresAt - Date.now()) / 1_000);
    life.max = about.lifetime / 1_000;
    life.value = seconds;
    left.textContent = seconds > 0 ? `${Math.ceil(seconds)} s left` : "expired";
    tail.textContent = about.tail;
  };
  session.addEventListener("change", show);
  setInterval(show, 500);
}
