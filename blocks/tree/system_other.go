//go:build !linux

package tree

import (
	"os"
	"strings"
)

const noAccessTime = 0

func pseudo(*os.File) bool { return false }

func pseudoPath(path string) bool { return path == "/dev" || strings.HasPrefix(path, "/dev/") }
