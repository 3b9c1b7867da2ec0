//go:build unix

package disk

import (
	"fmt"
	"syscall"
)

// Free returns how many bytes the disk that dir is on can still take from us, and how
// many it has.
func Free(dir string) (free, total int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}
