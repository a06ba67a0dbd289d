package takeover

import (
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var mac = net.HardwareAddr{2, 0, 198, 18, 2, 2}

func TestAGratuitousARPAsksForItsOwnAddress(t *testing.T) {
	p := gopacket.NewPacket(gratuitousARP(mac, netip.MustParseAddr("198.18.3.1")), layers.LayerTypeEthernet, gopacket.Default)
	eth, _ := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	arp, _ := p.Layer(layers.LayerTypeARP).(*layers.ARP)
	if eth == nil || arp == nil || p.ErrorLayer() != nil {
		t.Fatalf("no ARP: %v", p)
	}
	if eth.DstMAC.String() != "ff:ff:ff:ff:ff:ff" || eth.SrcMAC.String() != mac.String() || arp.Operation != layers.ARPRequest ||
		net.HardwareAddr(arp.SourceHwAddress).String() != mac.String() ||
		net.IP(arp.SourceProtAddress).String() != "198.18.3.1" || net.IP(arp.DstProtAddress).String() != "198.18.3.1" {
		t.Errorf("%v", p)
	}
}

func TestAnUnsolicitedAdvertisementOverridesWhatNeighboursKnow(t *testing.T) {
	frame := unsolicitedNA(mac, netip.MustParseAddr("2001:2::301"))
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	ip, _ := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	icmp, _ := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	na, _ := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	if ip == nil || icmp == nil || na == nil || p.ErrorLayer() != nil {
		t.Fatalf("no advertisement: %v", p)
	}
	if !na.Override() || na.Solicited() || na.TargetAddress.String() != "2001:2::301" || ip.HopLimit != 255 || ip.DstIP.String() != "ff02::1" ||
		len(na.Options) != 1 || na.Options[0].Type != layers.ICMPv6OptTargetAddress || net.HardwareAddr(na.Options[0].Data).String() != mac.String() {
		t.Errorf("%v", p)
	}
	want := icmp.Checksum
	check(t, icmp.SetNetworkLayerForChecksum(ip))
	buffer := gopacket.NewSerializeBuffer()
	check(t, gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{ComputeChecksums: true}, icmp, gopacket.Payload(icmp.Payload)))
	if got := uint16(buffer.Bytes()[2])<<8 | uint16(buffer.Bytes()[3]); got != want {
		t.Errorf("checksum %#x, want %#x", want, got)
	}
}
