package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
)

// readAnswer reads one response whole and returns its X-Server.
func readAnswer(conn net.Conn) (server string, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answer %s", resp.Status)
	}
	return resp.Header.Get("X-Server"), nil
}
