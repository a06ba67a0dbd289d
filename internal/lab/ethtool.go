package lab

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offload is a switch that the classic ethtool ioctl knows, as its pair of
// commands.
type offload struct {
	name     string
	get, set uint32
}

var (
	// txChecksum must be off on lab links if L4 is at XDP: a frame that leaves through
	// XDP_TX loses the mark that its checksum is still to be filled in. Segmentation
	// offload goes and comes with it.
	txChecksum = offload{"tx-checksum", unix.ETHTOOL_GTXCSUM, unix.ETHTOOL_STXCSUM}
	// gro gives a port the NAPI context in which veth receives what the other end
	// sends by XDP_TX. It does not wake it: see l4.Peer.
	gro = offload{"gro", unix.ETHTOOL_GGRO, unix.ETHTOOL_SGRO}
)

// ethtoolValue is the kernel's struct ethtool_value.
type ethtoolValue struct{ cmd, data uint32 }

// ethtoolRequest is the kernel's struct ifreq with ifr_data.
type ethtoolRequest struct {
	name  [unix.IFNAMSIZ]byte
	value *ethtoolValue
	_     [16]byte // the rest of the union
}

// offloadOn asks through a socket that is in the link's namespace.
func offloadOn(sock int, link string, o offload) (bool, error) {
	value := ethtoolValue{cmd: o.get}
	if err := ethtool(sock, link, &value); err != nil {
		return false, fmt.Errorf("get offload %s of %s: %w", o.name, link, err)
	}
	return value.data != 0, nil
}

func setOffload(sock int, link string, o offload, on bool) error {
	value := ethtoolValue{cmd: o.set}
	if on {
		value.data = 1
	}
	if err := ethtool(sock, link, &value); err != nil {
		return fmt.Errorf("set offload %s of %s to %t: %w", o.name, link, on, err)
	}
	return nil
}

func ethtool(sock int, link string, value *ethtoolValue) error {
	request := ethtoolRequest{value: value}
	copy(request.name[:len(request.name)-1], link)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(sock), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(value)
	if errno != 0 {
		return errno
	}
	return nil
}
