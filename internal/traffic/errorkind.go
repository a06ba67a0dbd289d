package traffic

import "golang.org/x/sys/unix"

// errorKind puts what ended a connection under one of the words that reports
// count by.
func errorKind(err error, connecting bool) string {
	during, after := ErrConnect, ErrOther
	switch err {
	case unix.ETIMEDOUT:
		during, after = ErrConnectTimeout, ErrTimeout
	case unix.ECONNREFUSED:
		during, after = ErrConnectRefused, ErrReset
	case unix.EHOSTUNREACH, unix.ENETUNREACH:
		during = ErrConnectUnreachable
	case unix.EADDRNOTAVAIL:
		during = ErrConnectPorts
	case unix.ECONNRESET, unix.EPIPE:
		after = ErrReset
	}
	if connecting {
		return during
	}
	return after
}
