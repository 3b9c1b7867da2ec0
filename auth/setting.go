package auth

import (
	"context"
	"fmt"
)

// Mode is how a key without an account gets one.
type Mode string

// The registration modes.
const (
	ModeOpen     Mode = "open"     // its first login makes an active account
	ModeApproval Mode = "approval" // its first login makes a pending one
	ModeClosed   Mode = "closed"   // it is refused
)

// ErrMode is ErrInvalid: not a registration mode.
var ErrMode = fmt.Errorf("%w: mode must be open, approval or closed", ErrInvalid)

// ParseMode reads a registration mode. Any fault is ErrMode.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case ModeOpen, ModeApproval, ModeClosed:
		return m, nil
	}
	return "", ErrMode
}

// modeSetting is the name of the setting that holds the mode.
const modeSetting = "mode"

// Mode returns the registration mode: what SetMode set, else Config.Mode.
func (s *Service) Mode(ctx context.Context) (Mode, error) {
	text, err := s.Setting(ctx, modeSetting)
	if err != nil || text == "" {
		return s.defaultMode, err
	}
	m, err := ParseMode(text)
	if err != nil {
		return "", fmt.Errorf("stored mode %q: %w", text, err)
	}
	return m, nil
}

// SetMode sets the registration mode for good. Errors: ErrMode.
func (s *Service) SetMode(ctx context.Context, by Actor, mode Mode) error {
	if _, err := ParseMode(string(mode)); err != nil {
		return err
	}
	return s.PutSetting(ctx, by, modeSetting, string(mode))
}

// Setting returns a setting of the server, or "" if it was never set. It seldom
// reads the store. Packages above keep settings of their own here, beside auth's.
func (s *Service) Setting(ctx context.Context, name string) (string, error) {
	if v, ok := s.cache.setting(name); ok {
		return v, nil
	}
	epoch := s.cache.now()
	v, err := s.store.Setting(ctx, name)
	if err != nil {
		return "", fmt.Errorf("read setting %s: %w", name, err)
	}
	s.cache.putSetting(epoch, name, v)
	return v, nil
}

// PutSetting stores a setting. The audit log gets its name and value, so it is no
// place for a secret.
func (s *Service) PutSetting(ctx context.Context, by Actor, name, value string) error {
	ev := s.event(EventSetting, by)
	ev.Detail = name + " = " + value
	err := s.store.PutSetting(ctx, name, value, ev)
	s.cache.forget()
	return err
}
