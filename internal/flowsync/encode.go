package flowsync

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"lbctl/internal/lb"
)

// message is one that is being filled.
type message struct {
	syncID byte
	bytes  []byte
	flows  int
}

func newMessage(syncID byte) *message {
	return &message{syncID: syncID, bytes: make([]byte, headerSize, MaxMessage)}
}

// add appends a flow. It returns false, and changes nothing, if the message is full.
func (m *message) add(f lb.ToldFlow) (bool, error) {
	entry, err := encode(f)
	if err != nil {
		return false, err
	}
	padded := (len(m.bytes) + 3) &^ 3
	if m.flows == maxFlows || padded+len(entry) > MaxMessage {
		return false, nil
	}
	m.bytes = append(append(m.bytes, make([]byte, padded-len(m.bytes))...), entry...)
	m.flows++
	return true, nil
}

// finish returns the message with its header. It must not be added to any more.
func (m *message) finish() []byte {
	m.bytes[1] = m.syncID
	binary.BigEndian.PutUint16(m.bytes[2:], uint16(len(m.bytes)))
	m.bytes[4] = byte(m.flows)
	m.bytes[5] = protocolVersion
	return m.bytes
}

// encode returns a flow's entry, without what aligns the next one.
func encode(f lb.ToldFlow) ([]byte, error) {
	proto, state, err := numbers(f)
	if err != nil {
		return nil, err
	}
	flags, known := forwards[f.Forward]
	if !known {
		return nil, fmt.Errorf("encode flow of %s: forward %q is unknown", f.Client, f.Forward)
	}
	if f.Forward == lb.DirectRouting || f.Forward == lb.Tunnel {
		flags |= flagNoOutput
	}
	if isInactive(f.State) {
		flags |= flagInactive
	}
	six := f.Client.Addr().Is6()
	if f.VIP.Addr().Is6() != six {
		return nil, fmt.Errorf("encode flow of %s: it is to %s, of the other family", f.Client, f.VIP)
	}
	kind := byte(0)
	if six {
		kind = typeInet6
	}
	b := []byte{kind, proto, 0, 0}
	b = binary.BigEndian.AppendUint32(b, flags)
	for _, v := range []uint16{state, f.Client.Port(), f.VIP.Port(), f.Backend.Port()} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, 0) // firewall mark
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(f.Left, 0), longestLeft)/time.Second))
	for _, a := range []netip.Addr{f.Client.Addr(), f.VIP.Addr(), f.Backend.Addr()} {
		if a.Is6() != six { // a backend of the other family, as tunnels may have
			return nil, fmt.Errorf("encode flow of %s: backend %s is of the other family", f.Client, f.Backend)
		}
		b = append(b, a.AsSlice()...)
	}
	if f.Service.Addr != f.VIP && f.Service.Addr.IsValid() {
		b = appendAddrPort(b, paramService, f.Service.Addr)
	}
	if f.Delta != 0 {
		b = append(binary.BigEndian.AppendUint32(append(b, paramDelta, 5), f.Delta), byte(f.Shift))
	}
	if f.Peer.IsValid() {
		b = appendAddrPort(b, paramPeer, f.Peer)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b, nil
}

func appendAddrPort(b []byte, param byte, a netip.AddrPort) []byte {
	ip := a.Addr().AsSlice()
	b = append(append(b, param, byte(len(ip)+2)), ip...)
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// numbers are the wire's for protocol and state.
func numbers(f lb.ToldFlow) (proto byte, state uint16, err error) {
	switch f.Proto {
	case lb.TCP:
		n, known := tcpStates[f.State]
		if known {
			return protoTCP, n, nil
		}
	case lb.UDP:
		if f.State == lb.FlowDatagrams {
			return protoUDP, 0, nil
		}
	}
	return 0, 0, fmt.Errorf("encode flow of %s: %s has no state %q", f.Client, f.Proto, f.State)
}
