package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A ticket opens one thing to read, for a while, to whoever has it: it stands in
// addresses that are given to media players. It is not kept anywhere. As text it is the
// prefix and then base64url of
//
//	expires 8 | length of account 1 | account | thing | tag 16
//
// and the tag is made with a key of its own. What one may do is asked anew each time, of
// the account that asked for the ticket.
const (
	ticketPrefix  = "hst_"
	ticketTagSize = 16
	maxTicket     = 512 // characters
)

// MaxTicketTTL is how long a ticket can be good.
const MaxTicketTTL = 24 * time.Hour

// IsTicket says whether s looks like a ticket rather than another token.
func IsTicket(s string) bool { return strings.HasPrefix(s, ticketPrefix) }

// MakeTicket makes a ticket for an account to read a thing, and says until when it is
// good. ttl must be positive, or it is ErrInvalid; more than MaxTicketTTL is that.
func (s *Service) MakeTicket(account AccountID, thing string, ttl time.Duration) (ticket string, expires time.Time, err error) {
	if ttl <= 0 {
		return "", time.Time{}, fmt.Errorf("%w: a ticket's ttl must be positive", ErrInvalid)
	}
	expires = s.now().Add(min(ttl, MaxTicketTTL))
	body := binary.BigEndian.AppendUint64(nil, uint64(expires.UnixMilli()))
	body = append(body, byte(len(account)))
	body = append(append(body, account...), thing...)
	ticket = ticketPrefix + tokenEncoding.EncodeToString(append(body, s.ticketTag(body)...))
	if len(account) > 255 || len(ticket) > maxTicket {
		return "", time.Time{}, fmt.Errorf("%w: a ticket for what has so long a name", ErrInvalid)
	}
	return ticket, expires, nil
}

func (s *Service) ticketTag(body []byte) []byte {
	mac := hmac.New(sha256.New, s.keys.Ticket[:])
	mac.Write([]byte("ticket\x00"))
	mac.Write(body)
	return mac.Sum(nil)[:ticketTagSize]
}

// OpenTicket returns the account that a ticket was made for and the thing that it opens.
// Any fault, and an account that is not active, is ErrUnauthorized.
func (s *Service) OpenTicket(ctx context.Context, ticket string) (Account, string, error) {
	text, ok := strings.CutPrefix(ticket, ticketPrefix)
	if !ok || len(ticket) > maxTicket {
		return Account{}, "", ErrUnauthorized
	}
	raw, err := tokenEncoding.DecodeString(text)
	if err != nil || len(raw) < 8+1+ticketTagSize {
		return Account{}, "", ErrUnauthorized
	}
	body, tag := raw[:len(raw)-ticketTagSize], raw[len(raw)-ticketTagSize:]
	if !hmac.Equal(tag, s.ticketTag(body)) {
		return Account{}, "", ErrUnauthorized
	}
	expires := time.UnixMilli(int64(binary.BigEndian.Uint64(body)))
	rest := body[9:]
	if n := int(body[8]); n > len(rest) || !s.now().Before(expires) {
		return Account{}, "", ErrUnauthorized
	}
	id, thing := rest[:body[8]], rest[body[8]:]
	account, err := s.Account(ctx, AccountID(id))
	if errors.Is(err, ErrNotFound) || err == nil && account.Status != StatusActive {
		return Account{}, "", ErrUnauthorized
	}
	return account, string(thing), err
}
