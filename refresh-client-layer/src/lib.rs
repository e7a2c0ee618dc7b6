//! Client half.
#![cfg_attr(docsrs, feature(doc_cfg))]
