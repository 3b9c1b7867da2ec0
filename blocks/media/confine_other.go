//go:build !linux

package media

import "syscall"

const confinedName = "heapsync-confined"

type confinement struct {
	CPU, Memory, Address, File, Open uint64
	Folder                           string
}

func confinementMissing() string { return "engines can only be confined on Linux" }

// RunConfined does nothing where engines cannot be confined.
func RunConfined() {}

func engineAttributes() *syscall.SysProcAttr { return nil }
