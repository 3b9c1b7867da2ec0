package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"filippo.io/edwards25519" // crypto/ed25519 accepts keys of small order; this shows them
	"github.com/mr-tron/base58"
)

// ErrInvalidKey: not the text of a public key we accept.
var ErrInvalidKey = errors.New("invalid public key")

// ErrInvalidSignature: not the text of a signature, or not a signature of this
// text by this key.
var ErrInvalidSignature = errors.New("invalid signature")

// Base58 decoding takes time quadratic in the length, so the length is checked
// first: 32 and 64 bytes take this many characters.
const (
	minKeyText, maxKeyText = 32, 44
	minSigText, maxSigText = 64, 90
)

// PublicKey is an Ed25519 public key that ParsePublicKey accepted: canonical, of
// prime order, and, being an array, always 32 bytes.
type PublicKey [ed25519.PublicKeySize]byte

// String returns the key in base58, which ParsePublicKey reads.
func (k PublicKey) String() string { return base58.Encode(k[:]) }

// Signature is an Ed25519 signature.
type Signature [ed25519.SignatureSize]byte

// String returns the signature in base58, which ParseSignature reads.
func (s Signature) String() string { return base58.Encode(s[:]) }

// Verify reports whether sig is k's signature of text.
func (k PublicKey) Verify(text []byte, sig Signature) bool {
	return ed25519.Verify(k[:], text, sig[:])
}

// ParsePublicKey reads a key in base58 (Bitcoin alphabet) that is canonical, not
// of small order and free of torsion. Any fault is ErrInvalidKey.
func ParsePublicKey(s string) (PublicKey, error) {
	key, err := decodeKey(s)
	if err != nil {
		return PublicKey{}, err
	}
	if err := checkKey(key); err != nil {
		return PublicKey{}, err
	}
	return key, nil
}

// ParseSignature reads a signature in base58. Any fault is ErrInvalidSignature.
// That its scalar is in range is Verify's to see.
func ParseSignature(s string) (Signature, error) {
	if len(s) < minSigText || len(s) > maxSigText {
		return Signature{}, fmt.Errorf("%w: length", ErrInvalidSignature)
	}
	b, err := base58.Decode(s)
	if err != nil || len(b) != ed25519.SignatureSize {
		return Signature{}, fmt.Errorf("%w: not the base58 of %d bytes", ErrInvalidSignature, ed25519.SignatureSize)
	}
	return Signature(b), nil
}

func decodeKey(s string) (PublicKey, error) {
	if len(s) < minKeyText || len(s) > maxKeyText {
		return PublicKey{}, fmt.Errorf("%w: length", ErrInvalidKey)
	}
	b, err := base58.Decode(s)
	if err != nil || len(b) != ed25519.PublicKeySize || base58.Encode(b) != s {
		return PublicKey{}, fmt.Errorf("%w: not the base58 of %d bytes", ErrInvalidKey, ed25519.PublicKeySize)
	}
	return PublicKey(b), nil
}

// orderMinusOne is the scalar -1, that is L-1, where L is the order of the group
// that keys belong in. (L itself is the scalar 0, so [L]A is made in two steps.)
var orderMinusOne = func() *edwards25519.Scalar {
	one, err := edwards25519.NewScalar().SetCanonicalBytes([]byte{1, 31: 0})
	if err != nil {
		panic(err)
	}
	return edwards25519.NewScalar().Negate(one)
}()

// checkKey refuses the points with which a signature proves nothing. With a key
// of small order one signature fits every text, or every few texts; a mixed-order
// or non-canonical key is a second name for somebody's account.
func checkKey(key PublicKey) error {
	a, err := new(edwards25519.Point).SetBytes(key[:])
	if err != nil {
		return fmt.Errorf("%w: not a point", ErrInvalidKey)
	}
	if PublicKey(a.Bytes()) != key {
		return fmt.Errorf("%w: not canonical", ErrInvalidKey)
	}
	identity := edwards25519.NewIdentityPoint()
	if new(edwards25519.Point).MultByCofactor(a).Equal(identity) == 1 {
		return fmt.Errorf("%w: small order", ErrInvalidKey)
	}
	// [L-1]A + A. The key is public, so variable time gives nothing away.
	la := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(orderMinusOne, a, edwards25519.NewScalar())
	if la.Add(la, a).Equal(identity) != 1 {
		return fmt.Errorf("%w: mixed order", ErrInvalidKey)
	}
	return nil
}

// goodKeys remembers keys that passed checkKey. Only they enter, so a flood of
// bad keys drives nothing out.
type goodKeys struct {
	mu   sync.RWMutex // guards keys
	keys map[PublicKey]struct{}
}

// maxGoodKeys bounds the memory of goodKeys to a few MiB.
const maxGoodKeys = 1 << 16

// parse is ParsePublicKey, cheap for a key seen before.
func (g *goodKeys) parse(s string) (PublicKey, error) {
	key, err := decodeKey(s)
	if err != nil {
		return PublicKey{}, err
	}
	g.mu.RLock()
	_, known := g.keys[key]
	g.mu.RUnlock()
	if known {
		return key, nil
	}
	if err := checkKey(key); err != nil {
		return PublicKey{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.keys) >= maxGoodKeys {
		for old := range g.keys { // any one of them
			delete(g.keys, old)
			break
		}
	}
	if g.keys == nil {
		g.keys = make(map[PublicKey]struct{})
	}
	g.keys[key] = struct{}{}
	return key, nil
}

// randomBytes fills b. The system's generator does not fail; it ends the process.
func randomBytes(b []byte) { rand.Read(b) }
