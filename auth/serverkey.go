package auth

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrKeyFile: a file with a server key is unsafe, unreadable or missing. The
// server must not start: a new identity would alarm every client.
var ErrKeyFile = errors.New("server key file")

// Secret keys one kind of message authentication code.
type Secret [32]byte

// ServerKeys are the three keys of a server. Each does one thing only, so that
// nothing one of them signs can be passed off as another's.
type ServerKeys struct {
	Identity ed25519.PrivateKey // proves the server to its clients: SignServerProof
	Token    Secret             // marks and derives tokens
	Ticket   Secret             // for tickets to files
}

// The files of ServerKeys in the data folder, in the order they are made.
var keyFiles = [...]string{"identity.key", "token.key", "ticket.key"}

// keyFileHead begins every key file, so that no other file is taken for one.
const keyFileHead = "heapsync key 1 "

// OpenKeys reads the server's keys from dir, an existing folder, and makes them
// on the first run. Files are 0600 and never half-written. A file that others may
// read, that is malformed, or that is missing while a later one is there, is
// ErrKeyFile. One process at a time.
func OpenKeys(dir string) (ServerKeys, error) {
	for _, name := range keyFiles {
		left, _ := filepath.Glob(filepath.Join(dir, tempName(name))) // by a crash; never used
		for _, path := range left {
			os.Remove(path)
		}
	}
	var seeds [len(keyFiles)]Secret
	missing := ""
	for i, name := range keyFiles {
		path := filepath.Join(dir, name)
		seed, err := readKeyFile(path)
		switch {
		case err == nil && missing != "":
			// Files are made in order, so this is a loss and not a first run.
			return ServerKeys{}, fmt.Errorf("%w %s: missing; restore it from a backup", ErrKeyFile, filepath.Join(dir, missing))
		case err == nil:
			seeds[i] = seed
		case !errors.Is(err, fs.ErrNotExist):
			return ServerKeys{}, err
		case missing == "":
			missing = name
		}
	}
	if missing != "" {
		for i, name := range keyFiles {
			path := filepath.Join(dir, name)
			if _, err := os.Stat(path); err == nil {
				continue
			}
			randomBytes(seeds[i][:])
			line := keyFileHead + hex.EncodeToString(seeds[i][:]) + "\n"
			if err := writePrivate(path, line); err != nil {
				return ServerKeys{}, err
			}
		}
	}
	return ServerKeys{
		Identity: ed25519.NewKeyFromSeed(seeds[0][:]),
		Token:    seeds[1],
		Ticket:   seeds[2],
	}, nil
}

func readKeyFile(path string) (Secret, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Secret{}, err
	}
	if !info.Mode().IsRegular() {
		return Secret{}, fmt.Errorf("%w %s: not a regular file", ErrKeyFile, path)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return Secret{}, fmt.Errorf("%w %s: others may read it (mode %04o): chmod 600 it", ErrKeyFile, path, mode)
	}
	if info.Size() > 1024 {
		return Secret{}, fmt.Errorf("%w %s: malformed", ErrKeyFile, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Secret{}, fmt.Errorf("%w %s: %w", ErrKeyFile, path, err)
	}
	// The line end is required: without it, the line may be cut short.
	body, ok := strings.CutPrefix(string(text), keyFileHead)
	body, end := strings.CutSuffix(body, "\n")
	seed, err := hex.DecodeString(body)
	if !ok || !end || err != nil || len(seed) != len(Secret{}) {
		return Secret{}, fmt.Errorf("%w %s: malformed", ErrKeyFile, path)
	}
	return Secret(seed), nil
}

// writePrivate makes path hold text, readable by its owner only, in one step: a
// crash leaves the whole file or none.
func writePrivate(path, text string) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, tempName(filepath.Base(path))) // O_EXCL, 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.WriteString(text); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// tempName is the pattern of the temporary files that become name.
func tempName(name string) string { return "." + name + ".tmp*" }

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && runtime.GOOS != "windows" { // which cannot sync a folder
		return err
	}
	return nil
}
