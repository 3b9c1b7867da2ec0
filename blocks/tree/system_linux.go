package tree

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix" // what kind of file system it is
)

const noAccessTime = unix.O_NOATIME

// pseudo says whether a folder is of a file system that is no files.
func pseudo(dir *os.File) bool {
	var st unix.Statfs_t
	conn, err := dir.SyscallConn()
	if err != nil {
		return false
	}
	if controlErr := conn.Control(func(fd uintptr) { err = unix.Fstatfs(int(fd), &st) }); controlErr != nil || err != nil {
		return false
	}
	return slices.Contains([]int64{
		unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC,
		unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.DEVPTS_SUPER_MAGIC, unix.BPF_FS_MAGIC,
		unix.PSTOREFS_MAGIC, unix.EFIVARFS_MAGIC, unix.BINFMTFS_MAGIC, unix.NSFS_MAGIC, unix.SELINUX_MAGIC,
	}, int64(st.Type)) //nolint:unconvert // of other types elsewhere
}

// pseudoPath is the same by name, also where nothing is mounted.
func pseudoPath(path string) bool {
	for _, dir := range []string{"/proc", "/sys", "/dev"} {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}
