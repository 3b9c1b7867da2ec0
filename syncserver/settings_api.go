package syncserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks/tree"
)

// The settings that an administrator changes while the server runs, by the name
// under which package auth keeps them. The registration mode is auth's own.
const (
	nameSetting      = "name"
	limitsSetting    = "limits"
	scanRootsSetting = "scan_roots"
)

const (
	maxServerName = 100 // characters
	maxScanRoots  = 100
	maxPath       = 4096
)

// limitsJSON is what one account may have; null is no limit.
type limitsJSON struct {
	StorageBytes *int64 `json:"storage_bytes"`
	FileBytes    *int64 `json:"file_bytes"`
	Heaps        *int64 `json:"heaps"`
	Blocks       *int64 `json:"blocks"`
	Connections  *int64 `json:"connections"`
}

func (l *limitsJSON) check() error {
	for field, v := range map[string]*int64{
		"storage_bytes": l.StorageBytes, "file_bytes": l.FileBytes,
		"heaps": l.Heaps, "blocks": l.Blocks, "connections": l.Connections,
	} {
		if v != nil && *v < 0 {
			return badField("limits."+field, "must not be negative; null is no limit")
		}
	}
	return nil
}

// serverName is what the administrator called this server, or the configuration.
func (s *Server) serverName(ctx context.Context) (string, error) {
	name, err := s.Auth.Setting(ctx, nameSetting)
	if name == "" {
		name = s.Name
	}
	return name, err
}

// accountLimits are the limits of every account.
func (s *Server) accountLimits(ctx context.Context) (limitsJSON, error) {
	var l limitsJSON
	err := s.setting(ctx, limitsSetting, &l)
	return l, err
}

// setting reads a setting that is kept as JSON into v, if it was ever set.
func (s *Server) setting(ctx context.Context, name string, v any) error {
	text, err := s.Auth.Setting(ctx, name)
	if err != nil || text == "" {
		return err
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("stored setting %s: %w", name, err)
	}
	return nil
}

type settingsJSON struct {
	Name      string     `json:"name"`
	Mode      auth.Mode  `json:"mode"`
	Limits    limitsJSON `json:"limits"`
	ScanRoots []string   `json:"scan_roots"`
}

// settingsChange names the settings that are to change.
type settingsChange struct {
	Name      *string         `json:"name,omitempty"`
	Mode      *string         `json:"mode,omitempty"`
	Limits    json.RawMessage `json:"limits,omitempty"`
	ScanRoots *[]string       `json:"scan_roots,omitempty"`
}

func (s *Server) adminSettings(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	name, err := s.serverName(ctx)
	if err != nil {
		return err
	}
	mode, err := s.Auth.Mode(ctx)
	if err != nil {
		return err
	}
	limits, err := s.accountLimits(ctx)
	if err != nil {
		return err
	}
	roots := []string{}
	if err := s.setting(ctx, scanRootsSetting, &roots); err != nil {
		return err
	}
	return writeJSON(w, settingsJSON{name, mode, limits, roots})
}

// putAdminSettings changes the settings that the body names and leaves the others;
// within limits too. All are checked before any is changed.
func (s *Server) putAdminSettings(w http.ResponseWriter, r *http.Request) error {
	ctx, by := r.Context(), s.actorOf(r)
	var req settingsChange
	if err := readJSON(r, &req); err != nil {
		return err
	}
	values := map[string]string{}
	if req.Name != nil {
		name := strings.TrimSpace(*req.Name)
		if err := checkServerName(name); err != nil {
			return err
		}
		values[nameSetting] = name
	}
	if req.Mode != nil {
		if _, err := auth.ParseMode(*req.Mode); err != nil {
			return badField("mode", "must be open, approval or closed")
		}
	}
	if req.Limits != nil {
		limits, err := s.accountLimits(ctx)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(req.Limits, &limits); err != nil {
			return badField("limits", "must be an object of whole numbers and nulls")
		}
		if err := limits.check(); err != nil {
			return err
		}
		text, err := json.Marshal(limits)
		if err != nil {
			return err
		}
		values[limitsSetting] = string(text)
	}
	if req.ScanRoots != nil {
		roots, err := cleanScanRoots(*req.ScanRoots)
		if err != nil {
			return err
		}
		text, err := json.Marshal(roots)
		if err != nil {
			return err
		}
		values[scanRootsSetting] = string(text)
	}
	for name, value := range values {
		if err := s.Auth.PutSetting(ctx, by, name, value); err != nil {
			return err
		}
	}
	if req.Mode != nil {
		if err := s.Auth.SetMode(ctx, by, auth.Mode(*req.Mode)); err != nil {
			return err
		}
	}
	return s.adminSettings(w, r)
}

func checkServerName(name string) error {
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxServerName ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return badField("name", fmt.Sprintf("must be 1 to %d characters that can be shown", maxServerName))
	}
	return nil
}

// ScanRoots lists the folders that the administrator has allowed to be scanned.
func ScanRoots(ctx context.Context, a *auth.Service) ([]string, error) {
	var roots []string
	text, err := a.Setting(ctx, scanRootsSetting)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &roots)
	}
	if err != nil {
		return nil, fmt.Errorf("scan roots: %w", err)
	}
	return roots, nil
}

// SetScanRoots sets them, if they are paths of folders that may be scanned.
func SetScanRoots(ctx context.Context, a *auth.Service, by auth.Actor, roots []string) error {
	clean, err := cleanScanRoots(roots)
	if err != nil {
		return err
	}
	text, err := json.Marshal(clean)
	if err != nil {
		return err
	}
	return a.PutSetting(ctx, by, scanRootsSetting, string(text))
}

// cleanScanRoots checks the folders of this machine that users may have indexed.
func cleanScanRoots(roots []string) ([]string, error) {
	if len(roots) > maxScanRoots {
		return nil, badField("scan_roots", fmt.Sprintf("may name at most %d folders", maxScanRoots))
	}
	clean := make([]string, len(roots))
	for i, root := range roots {
		if !filepath.IsAbs(root) || len(root) > maxPath || strings.ContainsRune(root, 0) {
			return nil, badField("scan_roots", "must be absolute paths of folders")
		}
		if clean[i] = filepath.Clean(root); tree.Pseudo(clean[i]) {
			return nil, badField("scan_roots", "must be folders of files, not the system's own")
		}
	}
	return clean, nil
}
