package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrUnauthorized: the token is unknown, expired, revoked or of another kind, or
// its account may not log in.
var ErrUnauthorized = errors.New("unauthorized")

// Hash is the SHA-256 of a secret text.
type Hash [sha256.Size]byte

func hashText(s string) Hash { return sha256.Sum256([]byte(s)) }

func (h Hash) equal(other Hash) bool { return subtle.ConstantTimeCompare(h[:], other[:]) == 1 }

// A token is opaque to clients: the prefix of its kind, then base64url of
//
//	session 16 | generation 4 | secret 32 | tag 12
//
// The secret is random, or derived from a token that has one that is. The tag
// shows that this server made the token; see Decisions in doc.go.
const (
	accessPrefix  = "hsa_"
	refreshPrefix = "hsr_"

	tokenSecretAt = 16 + 4
	tokenTagAt    = tokenSecretAt + 32
	tokenSize     = tokenTagAt + 12
	tokenTextSize = len(accessPrefix) + (tokenSize*8+5)/6
)

var tokenEncoding = base64.RawURLEncoding.Strict() // one text for each token

// token is what a client's token says, before anything is proven.
type token struct {
	prefix     string
	session    uuid.UUID
	generation uint32
	raw        [tokenSize]byte
}

// parseToken reads a token of the kind with this prefix. Whether we made it and
// whether it is good is yet to be seen.
func parseToken(prefix, s string) (token, bool) {
	if len(s) != tokenTextSize || s[:len(prefix)] != prefix {
		return token{}, false
	}
	t := token{prefix: prefix}
	n, err := tokenEncoding.Decode(t.raw[:], []byte(s[len(prefix):]))
	if err != nil || n != tokenSize {
		return token{}, false
	}
	t.session = uuid.UUID(t.raw[:16])
	t.generation = binary.BigEndian.Uint32(t.raw[16:])
	return t, true
}

// genuine reports whether this server made the token, at any time.
func (s *Service) genuine(t token) bool {
	tag := s.tokenTag(t.prefix, t.raw[:tokenTagAt])
	return subtle.ConstantTimeCompare(tag, t.raw[tokenTagAt:]) == 1
}

func (s *Service) tokenTag(prefix string, body []byte) []byte {
	return s.tokenMAC("tag\x00"+prefix, body)[:tokenSize-tokenTagAt]
}

// tokenMAC authenticates body for one purpose.
func (s *Service) tokenMAC(purpose string, body []byte) []byte {
	mac := hmac.New(sha256.New, s.keys.Token[:])
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write(body)
	return mac.Sum(nil)
}

// makeToken returns the text of a token.
func (s *Service) makeToken(prefix string, session uuid.UUID, generation uint32, secret []byte) string {
	var raw [tokenSize]byte
	copy(raw[:], session[:])
	binary.BigEndian.PutUint32(raw[16:], generation)
	copy(raw[tokenSecretAt:tokenTagAt], secret)
	copy(raw[tokenTagAt:], s.tokenTag(prefix, raw[:tokenTagAt]))
	return prefix + tokenEncoding.EncodeToString(raw[:])
}

// Tokens is a session's pair of tokens. Access is shown with each request and
// lives minutes; Refresh is traded once for the next pair.
type Tokens struct {
	Session        SessionID
	Access         string
	Refresh        string
	AccessExpires  time.Time
	RefreshExpires time.Time
}

// firstPair makes the tokens of a new session.
func (s *Service) firstPair(session uuid.UUID) (access, refresh string) {
	var secrets [64]byte
	randomBytes(secrets[:])
	return s.makeToken(accessPrefix, session, 0, secrets[:32]),
		s.makeToken(refreshPrefix, session, 0, secrets[32:])
}

// nextPair makes the tokens that replace the pair of old, a refresh token. The
// same token always gives the same pair.
func (s *Service) nextPair(old token) (access, refresh string) {
	generation := old.generation + 1
	return s.makeToken(accessPrefix, old.session, generation, s.tokenMAC("next access", old.raw[:])),
		s.makeToken(refreshPrefix, old.session, generation, s.tokenMAC("next refresh", old.raw[:]))
}
