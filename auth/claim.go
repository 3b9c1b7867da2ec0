package auth

import (
	"context"
	"encoding/base32"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrClaim: the claim code is not the one that is open, or none is.
var ErrClaim = errors.New("no such claim")

// A claim code has 160 random bits, in groups that a person can copy. Case and
// dashes do not matter when it comes back.
const claimSize = 20

var claimEncoding = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// ClaimFile is the name, in the data folder, of the file that holds the claim
// code until there is an admin.
const ClaimFile = "claim-code"

// Bootstrap opens the claim for the first admin. The code stands in dir in
// ClaimFile (mode 0600) and is returned; it stays the same until it is used. Once
// there is an admin Bootstrap removes the file and returns "".
//
// A login with the code makes its account the admin; see LoginRequest. When that
// has happened Config.Claimed is called, and removes the file with RemoveClaim.
func (s *Service) Bootstrap(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, ClaimFile)
	code, err := readClaim(path)
	if err != nil {
		return "", err
	}
	fresh := code == ""
	if fresh {
		code = newClaim()
	}
	err = s.store.OpenClaim(ctx, hashClaim(code))
	if errors.Is(err, ErrClaim) {
		return "", RemoveClaim(dir)
	}
	if err != nil {
		return "", err
	}
	if !fresh {
		return code, nil
	}
	// After OpenClaim: a file whose code does not open anything helps nobody.
	return code, writePrivate(path, code+"\n")
}

// RemoveClaim removes the claim code's file, if it is there.
func RemoveClaim(dir string) error {
	err := os.Remove(filepath.Join(dir, ClaimFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// readClaim returns the code that stands in the file, or "" if there is none, or
// one that anybody could have read or that is not whole.
func readClaim(path string) (string, error) {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 || info.Size() > 256 {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	code := strings.TrimSpace(string(text))
	if raw, err := claimEncoding.DecodeString(plainClaim(code)); err != nil || len(raw) != claimSize {
		return "", nil
	}
	return code, nil
}

func newClaim() string {
	var raw [claimSize]byte
	randomBytes(raw[:])
	text := claimEncoding.EncodeToString(raw[:])
	var groups []string
	for ; len(text) > 0; text = text[8:] {
		groups = append(groups, text[:8])
	}
	return strings.Join(groups, "-")
}

func hashClaim(code string) Hash { return hashText(plainClaim(code)) }

// plainClaim takes away what copying may have changed.
func plainClaim(code string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(code)), "-", "")
}
