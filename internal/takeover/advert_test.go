package takeover

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var speaker = netip.MustParseAddr("198.18.2.1")

// packet is an advert as it comes from the wire.
func packet(t testing.TB, payload []byte) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 255, Protocol: layers.IPProtocolVRRP, SrcIP: speaker.AsSlice(), DstIP: advertGroup.AsSlice()}
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buffer, options, ip, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func TestAnAdvertIsVRRPsByteForByte(t *testing.T) {
	got := advert(speaker, time.Second, floating)
	want := []byte{0x31, 51, 100, 1, 0, 100, got[6], got[7], 198, 18, 3, 1}
	if !slices.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
	if from, err := parseAdvert(packet(t, got)); err != nil || from != speaker {
		t.Errorf("parsed as %v, %v", from, err)
	}
}

func TestWhatIsNoAdvertOfOursIsRefused(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"empty":            func([]byte) []byte { return nil },
		"cut":              func(b []byte) []byte { return b[:25] },
		"another protocol": func(b []byte) []byte { b[9] = 6; return b },
		"routed":           func(b []byte) []byte { b[8] = 254; return b },
		"another router":   func(b []byte) []byte { b[21] = 1; return b },
		"version 2":        func(b []byte) []byte { b[20] = 0x21; return b },
		"address missing":  func(b []byte) []byte { b[23]++; return b },
		"checksum":         func(b []byte) []byte { b[26]++; return b },
		"header too long":  func(b []byte) []byte { b[0] = 0x4f; return b },
	} {
		if from, err := parseAdvert(spoil(packet(t, advert(speaker, time.Second, floating)))); err == nil {
			t.Errorf("%s: an advert of %s", name, from)
		}
	}
}

func FuzzParseAdvert(f *testing.F) {
	f.Add(packet(f, advert(speaker, time.Second, floating)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseAdvert(b); err == nil && binary.BigEndian.Uint16(b[2:]) < 28 {
			t.Errorf("% x is an advert", b)
		}
	})
}

func TestAdvertsAreHeardByOthers(t *testing.T) {
	w := newWire(t)
	var voices [2]*Voice
	for i := range voices {
		v, err := Speak(w.hosts[i], netip.AddrFrom4([4]byte{198, 18, 2, byte(i + 1)}))
		check(t, err)
		t.Cleanup(func() { check(t, v.Close()) })
		voices[i] = v
	}
	hear := func(v *Voice) netip.Addr {
		from, err := v.Hear()
		check(t, err)
		return from
	}
	eventually(t, "the other host hears", func() bool {
		check(t, voices[0].Advertise(time.Second, floating))
		return hear(voices[1]) == speaker
	})
	if from := hear(voices[0]); from.IsValid() {
		t.Errorf("the speaker hears %s", from)
	}
	check(t, Cut(w.hub, []string{"p0"}))
	for from := hear(voices[1]); from.IsValid(); from = hear(voices[1]) {
	}
	_ = voices[0].Advertise(time.Second, floating)
	if from := hear(voices[1]); from.IsValid() {
		t.Errorf("a host that is cut off is heard: %s", from)
	}
	if got := DownAfter(time.Second); got < 3600*time.Millisecond || got > 3610*time.Millisecond {
		t.Errorf("down after %v", got)
	}
}
