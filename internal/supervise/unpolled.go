package supervise

import (
	"os"

	"golang.org/x/sys/unix"
)

// unpolled makes a File of a non-blocking descriptor without Go's poller, which
// would watch a listening socket and be woken by every connection, in the master
// and in each child. os.NewFile leaves out of the poller only what blocks, and to
// let a shared socket block for a moment may stop another process in accept; so
// the File is made of something else, over which the descriptor is then put. It
// takes the descriptor, also on an error.
func unpolled(fd int, name string) (*os.File, error) {
	defer unix.Close(fd)
	place, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/null", Err: err}
	}
	f := os.NewFile(uintptr(place), name)
	if err := unix.Dup3(fd, place, unix.O_CLOEXEC); err != nil {
		f.Close()
		return nil, os.NewSyscallError("dup3", err)
	}
	return f, nil
}
