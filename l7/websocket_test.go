package l7

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
)

// accept is what a server answers to a key (RFC 6455, section 4.2.2).
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const (
	opText  = 1
	opClose = 8
)

// appendFrame appends an unfragmented frame (RFC 6455, section 5.2), masked if
// mask is not 0.
func appendFrame(b []byte, op byte, mask uint32, payload []byte) []byte {
	b = append(b, 0x80|op)
	bit := byte(0)
	if mask != 0 {
		bit = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, bit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), uint64(n))
	}
	if mask == 0 {
		return append(b, payload...)
	}
	key := binary.BigEndian.AppendUint32(nil, mask)
	b = append(b, key...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

func readFrame(in io.Reader) (op byte, payload []byte, err error) {
	var h [8]byte
	if _, err = io.ReadFull(in, h[:2]); err != nil {
		return 0, nil, err
	}
	op, masked, n := h[0]&15, h[1]&0x80 != 0, uint64(h[1]&0x7f)
	switch n {
	case 126:
		_, err = io.ReadFull(in, h[:2])
		n = uint64(binary.BigEndian.Uint16(h[:]))
	case 127:
		_, err = io.ReadFull(in, h[:8])
		n = binary.BigEndian.Uint64(h[:])
	}
	var key [4]byte
	if masked && err == nil {
		_, err = io.ReadFull(in, key[:])
	}
	if err != nil || n > 1<<24 {
		return 0, nil, fmt.Errorf("frame of %d bytes: %w", n, err)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(in, payload)
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return op, payload, err
}

// serveWebSocket echoes frames up to a closing one.
func serveWebSocket(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		http.Error(w, "no upgrade", http.StatusUpgradeRequired)
		return
	}
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept(r.Header.Get("Sec-WebSocket-Key")))
	for {
		op, payload, err := readFrame(rw)
		if err != nil {
			return
		}
		c.Write(appendFrame(nil, op, 0, payload))
		if op == opClose {
			return
		}
	}
}

func webSocketPasses(t *testing.T, vip netip.AddrPort) {
	c := rawDial(t, vip)
	defer c.Close()
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	ask := "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n\r\n"
	// The first frame comes with the request, as an eager client's.
	c.Write(appendFrame([]byte(ask), opText, 0x01020304, []byte("early")))
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Sec-WebSocket-Accept") != accept(key) {
		t.Fatalf("%+v, %v", resp, err)
	}
	for i, payload := range [][]byte{[]byte("early"), nil, []byte("x"), bytes.Repeat([]byte("y"), 300), bytes.Repeat([]byte("z"), 1<<20)} {
		if i > 0 {
			go c.Write(appendFrame(nil, opText, uint32(i)*0x9e3779b9, payload))
		}
		op, got, err := readFrame(in)
		if err != nil || op != opText || !bytes.Equal(got, payload) {
			t.Fatalf("frame %d: op %d, %d bytes, want %d: %v", i, op, len(got), len(payload), err)
		}
	}
	c.Write(appendFrame(nil, opClose, 7, []byte{3, 232}))
	if op, got, err := readFrame(in); err != nil || op != opClose || len(got) != 2 {
		t.Errorf("closing: op %d, %x, %v", op, got, err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after the closing frame: %v", err)
	}
	// Without an upgrade it is plain HTTP, and the connection lives on.
	c = rawDial(t, vip)
	defer c.Close()
	in = bufio.NewReader(c)
	for _, path := range []string{"/ws", "/x"} {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != map[string]int{"/ws": 426, "/x": 200}[path] {
			t.Fatalf("%s: %+v, %v", path, resp, err)
		}
		io.Copy(io.Discard, resp.Body)
	}
}
