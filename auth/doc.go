// Package auth answers one question: who is asking? It owns public keys,
// challenges, accounts and their approval, sessions and tokens, the first
// administrator's claim, and the server's own keys.
//
// An account is an Ed25519 public key. A device logs in by signing a text that
// the server made (CreateChallenge, Login), gets a session with a pair of tokens
// (Tokens), shows the access token with each request (Authenticate) and trades
// the refresh token for the next pair (Refresh). The package knows no HTTP and no
// SQL: store.go says what it needs from a store. It reads no clock: Config.Now is
// its time, whole milliseconds of it.
//
// A Service is safe for concurrent use.
//
// # Invariants
//
// A challenge is spent before the signature over it is looked at, in one
// operation of the store, so no challenge is ever verified twice.
//
// A session that exists in the store is good until it expires; to revoke it is to
// delete it. An account that is not active has no session.
//
// No token, claim code or challenge is kept in plain: the store has their SHA-256.
// Whoever reads the database can log in as nobody.
//
// What is cached was in the store when it was read, and leaves the cache before
// the call that changed it returns. When another process changes the store,
// Forget drops everything.
//
// # Decisions
//
// A token names its session and generation and carries a tag made with the token
// secret. So a stray string costs no look-up, and a spent refresh token is
// recognised as ours however old it is, without keeping a row for each one. The
// tag is not what makes a token good; the hash in the session's row is.
//
// The next pair of tokens is derived from the refresh token it replaces and the
// token secret. A client that lost the reply sends the old token again, which is
// all that is needed to make the same pair again.
//
// Open challenges are kept in memory unless Config says where else. Nobody loses
// anything when they are lost, and what anonymous callers make the server do
// should not reach its disk.
//
// The checks that a public key is a good one cost as much as a signature. Keys
// that passed are remembered, so that login pays for them once.
package auth
