package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mr-tron/base58"
)

// ErrChallengeExpired: the text is not a challenge that is open for this key: it was
// never one, was used, or has expired. Which of these is nobody's business.
var ErrChallengeExpired = errors.New("challenge unknown, used or expired")

const (
	nonceSize = 32
	// maxChallengeText is more than a challenge can be long: a URL of 2,048
	// characters, and the rest well under 512.
	maxChallengeText = 2048 + 512
	maxURL           = 2048
)

// Challenge is one open challenge. The text itself is not kept: its hash finds
// it, and only the text that was issued, byte for byte, has that hash.
type Challenge struct {
	Hash    Hash
	Key     PublicKey
	From    netip.Prefix // AddressGroup of who asked
	Email   string       // the hint that came with the request, "" if none
	Issued  time.Time
	Expires time.Time
}

// ChallengeLimits bound how many challenges are open at a time. 0 is no limit.
type ChallengeLimits struct {
	PerKey, PerIP, Total int
}

// AddressGroup returns the addresses that count as one for limits: an IPv4
// address, or the /64 of an IPv6 address, which is the least that one party has.
// An address that is not valid gives the zero Prefix.
func AddressGroup(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	group, _ := ip.Prefix(bits)
	return group
}

// CreateChallenge returns a text for the holder of publicKey (base58) to sign and
// give to Login within two minutes, once. The answer is the same whether the key
// has an account or not. email is a hint for whoever approves accounts, "" if
// none. Errors: ErrInvalidKey, ErrEmail.
func (s *Service) CreateChallenge(ctx context.Context, publicKey, email string, from netip.Addr) (string, error) {
	key, err := s.good.parse(publicKey)
	if err != nil {
		return "", err
	}
	if err := checkEmail(email); err != nil {
		return "", err
	}
	var nonce [nonceSize]byte
	randomBytes(nonce[:])
	issued := s.now()
	expires := issued.Add(s.challengeTTL)
	text := s.challengeText(publicKey, base58.Encode(nonce[:]), issued, expires)
	err = s.open.AddChallenge(ctx, Challenge{
		Hash:    hashText(text),
		Key:     key,
		From:    AddressGroup(from),
		Email:   email,
		Issued:  issued,
		Expires: expires,
	}, s.challengeLimits)
	if err != nil {
		return "", fmt.Errorf("add challenge: %w", err)
	}
	return text, nil
}

// challengeText says in plain words what is signed, for which server and by whom,
// so that one server's challenge cannot be passed on as another's.
func (s *Service) challengeText(key, nonce string, issued, expires time.Time) string {
	var b strings.Builder
	b.WriteString("heapsync login\nserver: ")
	b.WriteString(s.publicKey)
	b.WriteString("\nurl: ")
	b.WriteString(s.publicURL)
	b.WriteString("\nkey: ")
	b.WriteString(key)
	b.WriteString("\nnonce: ")
	b.WriteString(nonce)
	b.WriteString("\nissued: ")
	b.WriteString(issued.UTC().Format(time.RFC3339))
	b.WriteString("\nexpires: ")
	b.WriteString(expires.UTC().Format(time.RFC3339))
	return b.String()
}
