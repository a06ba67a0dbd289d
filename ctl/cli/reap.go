package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// reapOrphans collects the children of dead processes while lbctl is the init
// of a container; anywhere else somebody else is. It must run only while nobody
// in this process cares how a child of its own ends.
func reapOrphans() (stop func()) {
	if os.Getpid() != 1 {
		return func() {}
	}
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	died <- syscall.SIGCHLD // for those that died before
	go func() {
		for range died {
			for {
				pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
				if pid <= 0 || err != nil {
					break
				}
			}
		}
	}()
	return func() {
		signal.Stop(died)
		close(died)
	}
}
