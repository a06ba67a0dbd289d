package ctl

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// shutdownTimeout is how long requests in flight may take once the daemon ends.
const shutdownTimeout = 2 * time.Second

// listenUnix listens at path for its owner only. What is there already is
// replaced if nobody answers at it.
func listenUnix(path string) (net.Listener, error) {
	if err := private(filepath.Dir(path)); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("listen %s: it is there and no socket", path)
	default:
		if err := removeStale(path); err != nil {
			return nil, err
		}
	}
	// The umask belongs to the whole process, so the mode is set afterwards; the
	// directory keeps others out in between.
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// private refuses a directory that others may enter.
func private(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("directory %s has mode %#o; the API's socket needs one that only its owner may enter (0700)", dir, info.Mode().Perm())
	}
	return nil
}

func removeStale(path string) error {
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("listen %s: somebody answers there already", path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("find out who listens at %s: %w", path, err)
	}
	return os.Remove(path)
}

// serve answers on l until ctx ends; then requests in flight get a moment.
func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx }, // long requests end with ctx
	} // no WriteTimeout: wait and events take their time
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(l)
	if stop() {
		return fmt.Errorf("serve API at %s: %w", l.Addr(), err) // ctx goes on, so the listener broke
	}
	<-ended
	return nil
}

// requireToken refuses requests that do not bear the token.
func requireToken(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + token)) // hashed, so that the comparison leaks no length either
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="lbctl"`)
			writeProblem(w, problem(http.StatusUnauthorized, "this needs the header \"Authorization: Bearer TOKEN\""))
			return
		}
		next.ServeHTTP(w, r)
	})
}
