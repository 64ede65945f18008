//! JSON Web Tokens: which are believed, and what they say of a peer.
//!
//! The keys were made for these tests and are used nowhere else.

use std::time::{Duration, SystemTime};

use axum::http::{Request, request::Parts};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use grove_crdt::{
    Error,
    server::{AuthError, Authenticator as _, Jwt, JwtKey, SyncServer},
    sync::Peer,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value as Json, json};

use super::{Answer, pull_body, request, serve};
use crate::notes;

const SECRET: &[u8] = b"32 bytes, as random as you like.";

const RSA: &[u8] = include_bytes!("keys/rsa.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("keys/rsa.pub.pem");
const EC: &[u8] = include_bytes!("keys/ec.pem");
const EC_PUBLIC: &[u8] = include_bytes!("keys/ec.pub.pem");
const ED: &[u8] = include_bytes!("keys/ed.pem");
const ED_PUBLIC: &[u8] = include_bytes!("keys/ed.pub.pem");

/// So many seconds from now.
fn at(offset: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + offset
}

/// The claims of a token that is believed, with another or without one: `null` is none.
fn but(name: &str, value: Json) -> Json {
    let mut claims = json!({ "sub": "edge", "exp": at(60) });
    claims[name] = value;
    if claims[name].is_null() {
        claims.as_object_mut().unwrap().remove(name);
    }
    claims
}

fn claims() -> Json {
    but("sub", json!("edge"))
}

fn sign(algorithm: Algorithm, key: &EncodingKey, claims: &Json) -> String {
    encode(&Header::new(algorithm), claims, key).unwrap()
}

/// A token signed with the shared secret.
fn signed(claims: &Json) -> String {
    sign(Algorithm::HS256, &EncodingKey::from_secret(SECRET), claims)
}

fn by_secret() -> Jwt {
    Jwt::new([JwtKey::hs256(SECRET).unwrap()]).unwrap()
}

fn head(authorization: &str) -> Parts {
    let request = Request::builder().header("authorization", authorization);
    request.body(()).unwrap().into_parts().0
}

/// The peer that a token names, or why it names none.
async fn named(jwt: &Jwt, token: &str) -> Result<Peer, String> {
    match jwt.authenticate(&head(&format!("Bearer {token}"))).await {
        Ok(peer) => Ok(peer),
        Err(AuthError::Unauthenticated(why)) => Err(why),
        Err(other) => panic!("{other:?}"),
    }
}

const UNKNOWN: &str = "the token is not signed with a key that is known here";

#[tokio::test]
async fn each_algorithm_is_believed_with_its_key() {
    let rsa = EncodingKey::from_rsa_pem(RSA).unwrap();
    let ec = EncodingKey::from_ec_pem(EC).unwrap();
    let ed = EncodingKey::from_ed_pem(ED).unwrap();
    let cases = [
        (JwtKey::hs256(SECRET), signed(&claims())),
        (JwtKey::rs256_pem(RSA_PUBLIC), sign(Algorithm::RS256, &rsa, &claims())),
        (JwtKey::es256_pem(EC_PUBLIC), sign(Algorithm::ES256, &ec, &claims())),
        (JwtKey::eddsa_pem(ED_PUBLIC), sign(Algorithm::EdDSA, &ed, &claims())),
    ];
    let (keys, tokens): (Vec<_>, Vec<_>) = cases.into_iter().map(|(key, token)| (key.unwrap(), token)).unzip();
    for (index, key) in keys.iter().enumerate() {
        let alone = Jwt::new([key.clone()]).unwrap();
        for (other, token) in tokens.iter().enumerate() {
            let expected = if index == other {
                Ok(Peer::new("edge"))
            } else {
                Err(UNKNOWN.to_owned())
            };
            assert_eq!(named(&alone, token).await, expected, "{key:?}, token {other}");
        }
    }
    let all = Jwt::new(keys).unwrap();
    for token in &tokens {
        assert_eq!(named(&all, token).await, Ok(Peer::new("edge")));
    }
}

/// Nobody but the server chooses the algorithm.
#[tokio::test]
async fn a_token_does_not_choose_how_it_is_checked() {
    let rsa = Jwt::new([JwtKey::rs256_pem(RSA_PUBLIC).unwrap()]).unwrap();
    // The public key, which everybody has, as if it were a shared secret.
    let confused = sign(Algorithm::HS256, &EncodingKey::from_secret(RSA_PUBLIC), &claims());
    assert_eq!(named(&rsa, &confused).await, Err(UNKNOWN.to_owned()));
    let longer = sign(Algorithm::RS512, &EncodingKey::from_rsa_pem(RSA).unwrap(), &claims());
    assert_eq!(named(&rsa, &longer).await, Err(UNKNOWN.to_owned()));
    for algorithm in ["none", "None", "NONE", ""] {
        let part = |json: Json| BASE64.encode(json.to_string());
        let header = part(json!({ "alg": algorithm, "typ": "JWT" }));
        for signature in ["", "AAAA"] {
            let unsigned = format!("{header}.{}.{signature}", part(claims()));
            assert_eq!(
                named(&by_secret(), &unsigned).await,
                Err(UNKNOWN.to_owned()),
                "{algorithm}"
            );
        }
    }
}

#[tokio::test]
async fn what_was_not_signed_with_the_key_is_not_believed() {
    let jwt = by_secret();
    let other = EncodingKey::from_secret(b"another 32 bytes, as random too.");
    assert_eq!(
        named(&jwt, &sign(Algorithm::HS256, &other, &claims())).await,
        Err(UNKNOWN.to_owned())
    );
    let (mine, admins) = (signed(&claims()), signed(&but("sub", json!("admin"))));
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (mine, admins) = (parts(&mine), parts(&admins));
    let tampered = [mine[0].as_str(), &admins[1], &mine[2]].join(".");
    for token in [
        tampered.as_str(),
        "",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        &mine[..2].join("."),
    ] {
        assert_eq!(named(&jwt, token).await, Err(UNKNOWN.to_owned()), "{token}");
    }
    let expired_and_forged = sign(Algorithm::HS256, &other, &but("exp", json!(at(-1_000))));
    assert_eq!(
        named(&jwt, &expired_and_forged).await,
        Err(UNKNOWN.to_owned()),
        "nothing is told of a forged one"
    );
    let none = jwt.authenticate(&head("Basic abc")).await;
    assert!(matches!(none, Err(AuthError::Unauthenticated(_))), "{none:?}");
}

#[tokio::test]
async fn a_token_is_believed_in_its_time() {
    let jwt = || by_secret().leeway(Duration::from_secs(30));
    let expired = Err("the token has expired".to_owned());
    let early = Err("the token is not valid yet".to_owned());
    let unusable = |claim: &str| Err(format!("the token's claim `{claim}` is missing, or can't be used"));
    let peer = || Ok(Peer::new("edge"));
    for (claims, expected) in [
        (but("exp", json!(at(-60))), expired.clone()),
        (but("exp", json!(at(-10))), peer()),
        (but("exp", json!(null)), unusable("exp")),
        (but("exp", json!("tomorrow")), unusable("exp")),
        (but("exp", json!(-1)), unusable("exp")),
        (but("exp", json!(0)), expired),
        (but("nbf", json!(at(60))), early),
        (but("nbf", json!(at(10))), peer()),
        (but("nbf", json!("yesterday")), unusable("nbf")),
    ] {
        assert_eq!(named(&jwt(), &signed(&claims)).await, expected, "{claims}");
    }
    // However long the leeway, what has expired long ago has.
    let lenient = by_secret().leeway(Duration::MAX);
    assert!(
        named(&lenient, &signed(&but("exp", json!(at(-100_000)))))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_token_is_believed_where_it_belongs() {
    let audience = || by_secret().audience("grove");
    let issuer = || by_secret().issuer("https://login.example");
    let peer = || Ok(Peer::new("edge"));
    let for_another = Err("the token is for another audience".to_owned());
    let of_another = Err("the token is of another issuer".to_owned());
    let unusable = |claim: &str| Err(format!("the token's claim `{claim}` is missing, or can't be used"));
    for (jwt, claims, expected) in [
        (audience(), but("aud", json!("grove")), peer()),
        (audience(), but("aud", json!(["bank", "grove"])), peer()),
        (audience(), but("aud", json!("bank")), for_another.clone()),
        (audience(), but("aud", json!(["bank"])), for_another.clone()),
        (audience(), but("aud", json!([])), for_another.clone()),
        (audience(), but("aud", json!(null)), unusable("aud")),
        (by_secret(), but("aud", json!("bank")), for_another),
        (issuer(), but("iss", json!("https://login.example")), peer()),
        (issuer(), but("iss", json!("https://evil.example")), of_another),
        (issuer(), but("iss", json!(null)), unusable("iss")),
        (by_secret(), but("iss", json!("anyone")), peer()),
    ] {
        assert_eq!(named(&jwt, &signed(&claims)).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn claims_say_who_a_peer_is_and_what_it_may() {
    let unusable = |claim: &str| Err(format!("the token's claim `{claim}` can't be used"));
    let bound = Peer::new("edge").bound_to("edge-1".parse().unwrap());
    for (claims, expected) in [
        (but("node", json!("edge-1")), Ok(bound.clone())),
        (but("node", json!("not a node")), unusable("node")),
        (but("node", json!(7)), unusable("node")),
        (but("sub", json!("")), unusable("sub")),
    ] {
        assert_eq!(named(&by_secret(), &signed(&claims)).await, expected, "{claims}");
    }
    let no_name = named(&by_secret(), &signed(&but("sub", json!(null)))).await;
    assert_eq!(
        no_name,
        Err("the token's claim `sub` is missing, or can't be used".to_owned())
    );
    let elsewhere = by_secret().node_claim("https://grove.example/node");
    let token = signed(&but("https://grove.example/node", json!("edge-1")));
    assert_eq!(named(&elsewhere, &token).await, Ok(bound));
    let more = by_secret().peer(|peer, claims| {
        let tables = claims.get("write").and_then(Json::as_array);
        let tables = tables.ok_or_else(|| AuthError::Forbidden("no tables".into()))?;
        Ok(peer.may_only_write(tables.iter().filter_map(Json::as_str)))
    });
    let peer = named(&more, &signed(&but("write", json!(["notes"])))).await.unwrap();
    assert!(peer.writes("notes") && !peer.writes("drafts"));
    let refused = more.authenticate(&head(&format!("Bearer {}", signed(&claims())))).await;
    assert!(matches!(refused, Err(AuthError::Forbidden(_))), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_none_is_shown() {
    let private = JwtKey::rs256_pem("-----BEGIN PRIVATE KEY-----\nnonsense").unwrap_err();
    assert_eq!(private.to_string(), "not a public key for RS256 in PEM form");
    for wrong in [
        JwtKey::hs256("short"),
        JwtKey::es256_pem(ED_PUBLIC),
        JwtKey::eddsa_pem(RSA_PUBLIC),
        JwtKey::rs256_pem(EC_PUBLIC),
    ] {
        assert!(matches!(wrong, Err(Error::Invalid(_))), "{wrong:?}");
    }
    assert!(matches!(Jwt::new([]), Err(Error::Invalid(_))));
    let shown = format!("{:?}", by_secret());
    assert!(!shown.contains("random") && !shown.contains("51, 50"), "{shown}");
}

#[tokio::test]
async fn a_token_opens_the_server_for_its_node() {
    let cloud = notes::replica("cloud").await;
    let url = serve(SyncServer::builder(&cloud).authenticator(by_secret()).router()).await + "/pull";
    let ask = async |claims: &Json, node: &str| {
        let mut body = pull_body();
        body["node_id"] = json!(node);
        Answer::to(request(&url).bearer_auth(signed(claims)).body(body.to_string())).await
    };
    let bound = but("node", json!("edge"));
    assert_eq!(ask(&bound, "edge").await.status, 200);
    ask(&bound, "another").await.is_error(403, "wrong_node");
    ask(&but("exp", json!(at(-1_000))), "edge")
        .await
        .is_error(401, "unauthenticated");
}
