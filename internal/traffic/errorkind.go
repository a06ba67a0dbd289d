package traffic

import (
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// errorKind puts an error under one of the words that reports count by.
func errorKind(err error, connecting bool) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, unix.ETIMEDOUT) {
		if connecting {
			return ErrConnectTimeout
		}
		return ErrTimeout
	}
	kinds := []struct {
		is                   error
		connecting, afterwrd string
	}{
		{unix.ECONNREFUSED, ErrConnectRefused, ErrReset},
		{unix.EHOSTUNREACH, ErrConnectUnreachable, ErrOther},
		{unix.ENETUNREACH, ErrConnectUnreachable, ErrOther},
		{unix.EADDRNOTAVAIL, ErrConnectPorts, ErrOther},
		{unix.ECONNRESET, ErrConnect, ErrReset},
		{unix.EPIPE, ErrConnect, ErrReset},
		{io.EOF, ErrConnect, ErrClosed},
		{io.ErrUnexpectedEOF, ErrConnect, ErrClosed},
		{errSyntax, ErrConnect, ErrProtocol},
		{errHeadTooLarge, ErrConnect, ErrProtocol},
	}
	for _, k := range kinds {
		if errors.Is(err, k.is) {
			if connecting {
				return k.connecting
			}
			return k.afterwrd
		}
	}
	if connecting {
		return ErrConnect
	}
	return ErrOther
}
