package ipvsadm

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func v4(addr string, port uint16) Key {
	return Key{Proto: TCP, Addr: netip.MustParseAddr(addr), Port: port}
}

// What the command lines mean. The recordings in testdata say what becomes of
// some hundred more, wrong ones above all.
func TestCommandLinesMean(t *testing.T) {
	six := Key{Proto: TCP, Addr: netip.MustParseAddr("fd00::1"), Port: 80, Six: true}
	for _, c := range []struct {
		line string
		want Command
	}{
		{"", Command{Op: List}},
		{"-Ln", Command{Op: List, Options: options(OptNumeric)}},
		{"-l --numeric --exact --stats", Command{Op: List, Options: options(OptNumeric, OptExact, OptStats)}},
		{"-L --sort --nosort", Command{Op: List, Options: options(OptNoSort)}},
		{"-Lnc", Command{Op: List, Options: options(OptNumeric, OptConnections)}},
		{"-SnX", Command{}},
		{"-C", Command{Op: Flush}},
		{"-R", Command{Op: Restore}},
		{"--save", Command{Op: Save}},
		{"--set 1 2 3", Command{Op: SetTimeouts, Timeouts: Timeouts{1, 2, 3}}},
		{"--set -- 1 2 3", Command{Op: SetTimeouts, Timeouts: Timeouts{1, 2, 3}}},
		{"-h -q", Command{Op: Help}},
		{"-v nonsense", Command{Op: Version}},
		{"-At 10.0.0.1:http", Command{Op: Add, Options: options(OptService), Service: Service{Key: v4("10.0.0.1", 80), Scheduler: "wlc"}}},
		{"-At10.0.0.1:80 -srr", Command{Op: Add, Options: options(OptService, OptScheduler), Service: Service{Key: v4("10.0.0.1", 80), Scheduler: "rr"}}},
		{"--add-service --tcp-service=vip:80 --scheduler=sh --sched-flags=sh-port", Command{
			Op: Add, Options: options(OptService, OptScheduler, OptSchedFlags),
			Service: Service{Key: v4("10.0.0.1", 80), Scheduler: "sh", Flags: Sched2},
		}},
		{"-A -t 10.0.0.1:80 -b mh-fallback,mh-port -s mh", Command{
			Op: Add, Options: options(OptService, OptScheduler, OptSchedFlags),
			Service: Service{Key: v4("10.0.0.1", 80), Scheduler: "mh", Flags: Sched1 | Sched2},
		}},
		{"-E -t 10.0.0.1:0 -p", Command{
			Op: Edit, Options: options(OptService, OptPersistent),
			Service: Service{Key: v4("10.0.0.1", 0), Scheduler: "wlc", Flags: Persistent, Timeout: 360},
		}},
		{"-A -p 60 -M 255.255.255.0 -u 10.0.0.1:53 -o", Command{
			Op: Add, Options: options(OptService, OptPersistent, OptNetmask, OptOnePacket),
			Service: Service{
				Key: Key{Proto: UDP, Addr: netip.MustParseAddr("10.0.0.1"), Port: 53}, Scheduler: "wlc",
				Flags: Persistent | OnePacket, Timeout: 60, Mask: netip.MustParseAddr("255.255.255.0"),
			},
		}},
		{"-A -t [fd00::1]:80 -M 64", Command{Op: Add, Options: options(OptService, OptNetmask), Service: Service{Key: six, Scheduler: "wlc", Prefix: 64}}},
		{"-A -f 7 -6", Command{Op: Add, Options: options(OptService), Service: Service{Key: Key{Mark: 7, Six: true}, Scheduler: "wlc", Prefix: 128}}},
		{"-D --sctp-service 10.0.0.1:9", Command{Op: Delete, Options: options(OptService), Service: Service{Key: Key{Proto: SCTP, Addr: netip.MustParseAddr("10.0.0.1"), Port: 9}}}},
		{"-a -t 10.0.0.1:80 -r 10.0.0.2", Command{
			Op: AddDest, Options: options(OptService, OptServer), Service: Service{Key: v4("10.0.0.1", 80)},
			Dest: Dest{Addr: addrPort("10.0.0.2:80"), Weight: 1},
		}},
		{"-a -t 10.0.0.1:80 -r 10.0.0.2:81 -g", Command{ // direct routing keeps the port
			Op: AddDest, Options: options(OptService, OptServer, OptForward), Service: Service{Key: v4("10.0.0.1", 80)},
			Dest: Dest{Addr: addrPort("10.0.0.2:80"), Weight: 1},
		}},
		{"-e -t 10.0.0.1:80 -r 10.0.0.2:81 -m -w 0 -x 9 -y 8", Command{
			Op: EditDest, Options: options(OptService, OptServer, OptForward, OptWeight, OptUpper, OptLower), Service: Service{Key: v4("10.0.0.1", 80)},
			Dest: Dest{Addr: addrPort("10.0.0.2:81"), Forward: Masq, Upper: 9, Lower: 8},
		}},
		{"-a -m -r 10.0.0.2 -t 10.0.0.1:80", Command{ // the service's port is not known yet
			Op: AddDest, Options: options(OptService, OptServer, OptForward), Service: Service{Key: v4("10.0.0.1", 80)},
			Dest: Dest{Addr: addrPort("10.0.0.2:0"), Forward: Masq, Weight: 1},
		}},
		{"-a -t 10.0.0.1:80 -r fd00::2 -i --tun-type gue --tun-port 6080 --tun-remcsum", Command{
			Op: AddDest, Options: options(OptService, OptServer, OptForward, OptTunType, OptTunPort, OptTunRemCsum), Service: Service{Key: v4("10.0.0.1", 80)},
			Dest: Dest{Addr: addrPort("[fd00::2]:80"), Forward: Tunnel, Weight: 1, Tunnel: GUE, TunnelPort: 6080, Checksum: RemoteChecksum},
		}},
		{"--start-daemon backup --syncid 3 --mcast-group ff02::1 --mcast-port 9 --mcast-ttl 2 --sync-maxlen 1400", Command{
			Op: StartDaemon, Options: options(OptSyncID, OptMcastGroup, OptMcastPort, OptMcastTTL, OptSyncMaxLen),
			Daemon: Daemon{Backup: true, Interface: "eth0", Group: "ff02::1", Port: 9, TTL: 2, SyncID: 3, MaxLen: 1400},
		}},
		{"--stop-daemon master --syncid 1", Command{Op: StopDaemon, Options: options(OptSyncID), Daemon: Daemon{SyncID: 1}}},
		{"-Z -t 10.0.0.1:80", Command{Op: Zero, Options: options(OptService), Service: Service{Key: v4("10.0.0.1", 80)}}},
	} {
		got, err := Parse("ipvsadm", strings.Fields(c.line), testNames)
		if c.line == "-SnX" {
			if err == nil {
				t.Errorf("%q is taken, though -X is not for -S", c.line)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		if c.want.Op != Add && c.want.Op != Edit && c.want.Dest.Weight == 0 && c.want.Op != EditDest {
			got.Dest.Weight = 0 // the default of what is not there
		}
		if c.want.Op == Add || c.want.Op == Edit {
			got.Dest = Dest{}
		}
		if diff := cmp.Diff(c.want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.line, diff)
		}
	}
}

func TestFlagsWithoutNamesAreRefusedWhereIpvsadmCrashes(t *testing.T) {
	_, err := Parse("ipvsadm", strings.Fields("-A -t 10.0.0.1:80 -b ,"), testNames)
	var e *Error
	if !errors.As(err, &e) || e.Code != 2 || e.Text != "invalid scheduler flag `,'" {
		t.Errorf("error is %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{"-Ln", "-At 10.0.0.1:80 -p=5 -M 1", "-a -t [fd00::1]:80 -r x -w +1", "-L -n= --", "--set 1 2 3", "-A -f 3 -6 -b ,", "-Sn -", "--start-daemon master --mcast-group ff02::1"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		c, err := Parse("ipvsadm", args, testNames)
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Code != 2 && e.Code != 255 || e.Text == "") {
			t.Fatalf("%q: error %#v without a text and a code of ipvsadm", args, err)
		}
		if err != nil {
			return
		}
		table := newTable()
		_ = table.Do(Command{Op: Add, Service: c.Service})
		_ = table.Do(c)
		for _, o := range []Options{0, options(OptStats), options(OptTunInfo), options(OptNumeric)} {
			if err := table.List(&strings.Builder{}, Command{Op: List, Options: o}, testNames); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Whatever a table holds, its -Sn makes the same table again.
func FuzzSavedIsRestored(f *testing.F) {
	f.Add("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2 -w 3\n-A -f 3 -6\n")
	f.Add("-A -t [fd00::1]:80 -p 5 -M 64\n-a -t [fd00::1]:80 -r 10.0.0.1 -i --tun-type gue --tun-port 1 --tun-csum\n-A -u 1.1.1.1:0 -p -o -s mh -b mh-port")
	f.Fuzz(func(t *testing.T, text string) {
		table := newTable()
		run := func(table *Table, input string) string {
			var b strings.Builder
			Call{Program: "ipvsadm", Args: []string{"-R"}, Names: testNames, In: strings.NewReader(input), Out: &b, Err: &strings.Builder{}}.Run(&kernel{Table: table})
			return b.String()
		}
		run(table, text)
		for i := 0; i < len(table.Services); i++ { // what ipvsadm itself saves and cannot restore
			if s := table.Services[i]; s.Mark > maxInt || s.Flags&schedFlags != 0 && s.schedFlags() == "" {
				table.Services = append(table.Services[:i], table.Services[i+1:]...)
				i--
			}
		}
		save := func(table *Table) string {
			var b strings.Builder
			if err := table.List(&b, Command{Op: Save, Options: options(OptNumeric)}, testNames); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		again := newTable()
		saved := save(table)
		run(again, saved)
		if got := save(again); got != saved {
			t.Errorf("saved\n%srestored\n%s", saved, got)
		}
	})
}
