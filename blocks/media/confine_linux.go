package media

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix" // Landlock and seccomp, which package syscall does not know
)

// confinedName is argv[0] of a process that shall confine itself and become an
// engine.
const confinedName = "heapsync-confined"

// confinement is what an engine may use of the machine.
type confinement struct {
	CPU     uint64 // seconds
	Memory  uint64 // bytes of its own, not of the libraries that it maps
	Address uint64 // bytes, of all
	File    uint64 // bytes of one file that it writes
	Open    uint64 // files at a time
	Folder  string // the only one that it may write to; empty: none
}

// readable is where programs, their libraries and fonts lie. Nothing else can be
// opened, but the file itself.
var readable = []string{
	"/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts",
	"/var/cache/fontconfig", "/dev/null", "/dev/zero", "/dev/urandom",
}

// Rights of Landlock, and from which version of it on the kernel knows them.
const (
	landlockRead    = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landlockFile    = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	landlockWrite   = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE
	landlockV1      = 1<<13 - 1
	landlockNetwork = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
)

// landlockVersion returns what the kernel offers; 0 is nothing.
func landlockVersion() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// confinementMissing says in words why engines cannot be confined here; it is
// empty if they can.
func confinementMissing() string {
	if landlockVersion() == 0 {
		return "the kernel offers no Landlock, without which a hostile file could read others"
	}
	if auditArch() == 0 {
		return "system calls cannot be filtered on " + runtime.GOARCH
	}
	return ""
}

// RunConfined becomes an engine if this process was started to be one, and does
// not return then. Otherwise it does nothing. Programs (and tests) that use the
// package call it first of all: the server starts itself again under another
// name, since limits have to be set between fork and exec.
func RunConfined() {
	if len(os.Args) < 3 || os.Args[0] != confinedName {
		return
	}
	err := becomeEngine(os.Args[1], os.Args[2:])
	fmt.Fprintln(os.Stderr, "confine:", err)
	os.Exit(exitUnconfined)
}

func becomeEngine(limits string, command []string) error {
	var c confinement
	if err := json.Unmarshal([]byte(limits), &c); err != nil {
		return err
	}
	runtime.LockOSThread() // what follows holds for this thread and what it executes
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if err := c.lockFiles(); err != nil {
		return err
	}
	if err := filterCalls(); err != nil {
		return err
	}
	for _, limit := range []struct {
		kind  int
		value uint64
	}{
		{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_CPU, c.CPU}, {unix.RLIMIT_FSIZE, c.File},
		{unix.RLIMIT_NOFILE, c.Open}, {unix.RLIMIT_DATA, c.Memory}, {unix.RLIMIT_AS, c.Address},
	} {
		hard := limit.value
		if limit.kind == unix.RLIMIT_CPU {
			hard++ // the soft limit says why it died
		}
		if err := syscall.Setrlimit(limit.kind, &syscall.Rlimit{Cur: limit.value, Max: hard}); err != nil {
			return fmt.Errorf("limit %d: %w", limit.kind, err)
		}
	}
	return syscall.Exec(command[0], command, os.Environ())
}

// lockFiles gives up the right to open anything that confinement does not name.
func (c confinement) lockFiles() error {
	version := landlockVersion()
	rules := unix.LandlockRulesetAttr{Handled_access_fs: landlockV1}
	if version >= 2 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 4 {
		rules.Handled_access_net = landlockNetwork
	}
	if version >= 5 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= 6 {
		rules.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	allow := func(fd int, rights uint64) error {
		rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
			return fmt.Errorf("landlock: %w", errno)
		}
		return nil
	}
	allowPath := func(path string, rights uint64) error {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil // not on this machine
		}
		defer unix.Close(fd)
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			return err
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			rights &= landlockFile
		}
		return allow(fd, rights)
	}
	for _, path := range readable {
		if err := allowPath(path, landlockRead); err != nil {
			return err
		}
	}
	if err := allowPath("/dev/null", landlockFile); err != nil {
		return err
	}
	if c.Folder != "" {
		rights := uint64(landlockWrite)
		if version >= 3 {
			rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
		}
		if err := allowPath(c.Folder, rights); err != nil {
			return err
		}
	}
	// The file itself, which is open already, may be opened again: an engine
	// wants a position of its own.
	var stat unix.Stat_t
	if err := unix.Fstat(inputFD, &stat); err == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG {
		if err := allow(inputFD, unix.LANDLOCK_ACCESS_FS_READ_FILE); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

// forbidden are the system calls through which a process reaches the network,
// other processes, or parts of the kernel that no decoder needs.
var forbidden = []uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_KCMP,
	unix.SYS_SETPRIORITY, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT,
	unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_SETSID, unix.SYS_SETPGID,
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_MQ_OPEN,
}

func auditArch() uint32 {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64
	}
	return 0
}

// filterCalls refuses the forbidden calls with EPERM, and kills what calls the
// kernel in the manner of another architecture.
func filterCalls() error {
	const (
		load, equal, atLeast, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, unix.BPF_RET | unix.BPF_K
		offsetCall, offsetArch       = 0, 4
		x32                          = 0x40000000
		refuse                       = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	)
	program := []unix.SockFilter{
		{Code: load, K: offsetArch},
		{Code: equal, Jt: 1, K: auditArch()},
		{Code: answer, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: offsetCall},
		{Code: atLeast, Jf: 1, K: x32},
		{Code: answer, K: refuse},
	}
	for _, call := range forbidden {
		program = append(program, unix.SockFilter{Code: equal, Jf: 1, K: call}, unix.SockFilter{Code: answer, K: refuse})
	}
	program = append(program, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}

// engineAttributes: a process group of its own, which ends with its parent.
func engineAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
