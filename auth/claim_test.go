package auth_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/heapsync/heapsync/auth"
)

func (w *world) claim(t testing.TB, d device, code string) auth.LoginResult {
	t.Helper()
	req := w.request(t, d)
	req.Claim = code
	out, err := w.Login(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) bootstrap(t testing.TB, dir string) string {
	t.Helper()
	code, err := w.Bootstrap(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestClaimCodeStandsInAPrivateFile(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	code := w.bootstrap(t, dir)
	path := filepath.Join(dir, "claim-code")
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(text)) != code || len(code) < 32 {
		t.Errorf("file holds %q, %v, code is %q", text, err, code)
	}
	if again := w.bootstrap(t, dir); again != code {
		t.Errorf("after a restart it is %q", again)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("left in the folder: %v, %v", files, err)
	}
}

func TestClaimCodeMakesTheFirstAdminOnce(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(c *auth.Config) {
		c.Claimed = func() {
			if err := auth.RemoveClaim(dir); err != nil {
				t.Error(err)
			}
		}
	})
	code := w.bootstrap(t, dir)
	waiting := w.login(t, newDevice(1))
	out := w.claim(t, newDevice(1), code)
	if out.Pending || !out.Account.Admin || out.Account.ID != waiting.Account.ID || out.Tokens.Access == "" {
		t.Fatalf("%+v", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "claim-code")); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	if out := w.claim(t, newDevice(2), code); !out.Pending || out.Account.Admin {
		t.Errorf("used again: %+v", out)
	}
	if again := w.bootstrap(t, dir); again != "" {
		t.Errorf("after a restart there is a code %q", again)
	}
	if w.events(t, auth.EventClaim) != 1 || w.events(t, auth.EventClaimFailed) != 1 {
		t.Error("events are missing")
	}
}

func TestClaimCodeMayBeCopiedByHand(t *testing.T) {
	w := newWorld(t)
	code := w.bootstrap(t, t.TempDir())
	if out := w.claim(t, newDevice(1), "  "+strings.ToUpper(strings.ReplaceAll(code, "-", ""))+"\n"); !out.Account.Admin {
		t.Errorf("%+v", out)
	}
}

func TestWrongClaimIsAnOrdinaryLogin(t *testing.T) {
	w := newWorld(t)
	code := w.bootstrap(t, t.TempDir())
	for _, wrong := range []string{"x", code[1:], code + "a", strings.Repeat("a", len(code)), strings.Repeat("z", 1<<20)} {
		if out := w.claim(t, newDevice(1), wrong); !out.Pending || out.Account.Admin {
			t.Errorf("%+v", out)
		}
	}
	if out := w.claim(t, newDevice(2), code); !out.Account.Admin {
		t.Error("the right code does not work any more")
	}
}

func TestOneOfManyClaimsWins(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.Challenges = &auth.ChallengeLimits{} })
	code := w.bootstrap(t, t.TempDir())
	var wg sync.WaitGroup
	var won atomic.Int32
	for n := range int64(20) {
		wg.Go(func() {
			if w.claim(t, newDevice(n), code).Account.Admin {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d won", won.Load())
	}
}

func TestNoClaimOnceThereIsAnAdmin(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	code := w.bootstrap(t, dir)
	w.admin(t, 1) // by the command line
	if out := w.claim(t, newDevice(2), code); !out.Pending || out.Account.Admin {
		t.Errorf("%+v", out)
	}
	if again := w.bootstrap(t, dir); again != "" {
		t.Errorf("code %q", again)
	}
	if _, err := os.Stat(filepath.Join(dir, "claim-code")); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestClaimWorksOnAClosedServer(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.Mode = auth.ModeClosed })
	code := w.bootstrap(t, t.TempDir())
	req := w.request(t, newDevice(1))
	req.Claim = "wrong"
	_, err := w.Login(t.Context(), req)
	want(t, "wrong code", err, auth.ErrClosed)
	if out := w.claim(t, newDevice(1), code); !out.Account.Admin {
		t.Errorf("%+v", out)
	}
}

func TestClaimNeedsTheSignatureToo(t *testing.T) {
	w := newWorld(t)
	code := w.bootstrap(t, t.TempDir())
	req := w.request(t, newDevice(1))
	req.Claim, req.Signature = code, newDevice(2).sign(req.Message)
	_, err := w.Login(t.Context(), req)
	want(t, "bad signature", err, auth.ErrInvalidSignature)
	if out := w.claim(t, newDevice(1), code); !out.Account.Admin {
		t.Error("the code is gone")
	}
}

// A code that others could have read, or half a code, is replaced.
func TestUnsafeClaimFileIsReplaced(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"readable by others": func(path string) error { return os.Chmod(path, 0o644) },
		"cut short":          func(path string) error { return os.Truncate(path, 10) },
		"empty":              func(path string) error { return os.Truncate(path, 0) },
		"gone":               os.Remove,
	} {
		w, dir := newWorld(t), t.TempDir()
		code := w.bootstrap(t, dir)
		if err := spoil(filepath.Join(dir, "claim-code")); err != nil {
			t.Fatal(err)
		}
		fresh := w.bootstrap(t, dir)
		if fresh == code || fresh == "" {
			t.Errorf("%s: %q", name, fresh)
		}
		if info, err := os.Stat(filepath.Join(dir, "claim-code")); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		if out := w.claim(t, newDevice(1), code); out.Account.Admin {
			t.Errorf("%s: the old code works", name)
		}
	}
}
