package ctl

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ownToken is where a balancer keeps the token that it made itself.
func (c StandaloneConfig) ownToken() string { return filepath.Join(c.Dir, "token") }

// token returns what requests over TCP must bear.
func (c StandaloneConfig) token() (string, error) {
	path := c.TokenFile
	if path == "" {
		path = c.ownToken()
		if err := makeToken(path); err != nil {
			return "", fmt.Errorf("make token: %w", err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("read token: %s is empty", path)
	}
	return token, nil
}

// makeToken leaves a token that is there as it is.
func makeToken(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	return writeFileAtomic(path, append(base64.URLEncoding.AppendEncode(nil, secret), '\n'))
}
