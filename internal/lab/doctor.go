package lab

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
)

// Severity says what a failed check means.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // no lab can come up
	SeverityWarning Severity = "warning" // a lab can come up, within limits
)

// Finding is the outcome of one check of the machine.
type Finding struct {
	Check    string   `json:"check"`
	OK       bool     `json:"ok"`
	Severity Severity `json:"severity,omitempty"` // if it is not OK
	Detail   string   `json:"detail"`             // what was found
	Remedy   string   `json:"remedy,omitempty"`
}

// examination is one check: it returns what it found, and an error if that
// will not do.
type examination struct {
	check    string
	severity Severity
	remedy   string
	examine  func(Options) (string, error)
}

var examinations = []examination{
	{"root", SeverityError, "run lbctl as root (sudo lbctl …)", examineRoot},
	{"capabilities", SeverityError, "give the container NET_ADMIN and SYS_ADMIN (docker run --cap-add NET_ADMIN --cap-add SYS_ADMIN)", examineCapabilities},
	{"network namespaces", SeverityError, "use Linux 5.14 or later with CONFIG_NET_NS; in a container add SYS_ADMIN and a seccomp profile that allows unshare", examineNamespaces},
	{"veth and bridge", SeverityError, "load the kernel modules: modprobe veth bridge", examineLinks},
	{"sysctl", SeverityError, "make /proc/sys/net writable, or allow the mount of a procfs (seccomp: fsopen, fsmount)", examineSysctl},
	{"bpffs", SeverityError, "allow mounts: in a container add SYS_ADMIN and, on hosts with AppArmor, --security-opt apparmor=unconfined", examineBPFFS},
	{"BTF", SeverityWarning, "use a kernel with CONFIG_DEBUG_INFO_BTF=y; without it some BPF features are missing", examineBTF},
	{"open files", SeverityWarning, "raise the hard limit: ulimit -Hn 20000, or LimitNOFILE= in the unit, or --ulimit nofile=20000 in docker", examineFiles},
	{"memory", SeverityWarning, "free some memory, or use fewer servers", examineMemory},
	{"leftovers", SeverityWarning, "remove them with `lbctl down NAME`, or complete them with `lbctl up FILE`", examineLeftovers},
}

// Doctor checks what a lab needs of the machine. It leaves nothing behind.
func Doctor(o Options) []Finding {
	o = o.withDefaults()
	findings := make([]Finding, 0, len(examinations))
	for _, e := range examinations {
		detail, err := e.examine(o)
		f := Finding{Check: e.check, OK: err == nil, Detail: detail}
		if err != nil {
			f.Severity, f.Detail, f.Remedy = e.severity, err.Error(), e.remedy
		}
		findings = append(findings, f)
	}
	return findings
}

func examineRoot(Options) (string, error) {
	if uid := os.Geteuid(); uid != 0 {
		return "", fmt.Errorf("user id %d is not root", uid)
	}
	return "user id 0", nil
}

func examineCapabilities(Options) (string, error) {
	bits, err := effectiveCapabilities()
	if err != nil {
		return "", err
	}
	for _, need := range []struct {
		name string
		bit  int
	}{{"NET_ADMIN", unix.CAP_NET_ADMIN}, {"SYS_ADMIN", unix.CAP_SYS_ADMIN}} {
		if bits&(1<<need.bit) == 0 {
			return "", fmt.Errorf("CAP_%s is missing", need.name)
		}
	}
	if bits&(1<<unix.CAP_BPF) == 0 || bits&(1<<unix.CAP_PERFMON) == 0 {
		return "NET_ADMIN and SYS_ADMIN; without BPF and PERFMON, which SYS_ADMIN includes", nil
	}
	return "NET_ADMIN, SYS_ADMIN, BPF, PERFMON", nil
}

func effectiveCapabilities() (uint64, error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	return 0, fmt.Errorf("read capabilities: no CapEff in /proc/thread-self/status")
}

func examineNamespaces(Options) (string, error) {
	h, err := netns.New()
	if err != nil {
		return "", err
	}
	return "can be made and have a kernel id", h.Close()
}

// examineLinks makes a bridge and a veth pair where nobody sees them.
func examineLinks(Options) (string, error) {
	left, err := netns.New()
	if err != nil {
		return "", err
	}
	defer left.Close()
	right, err := netns.New()
	if err != nil {
		return "", err
	}
	defer right.Close()
	nl, err := left.Netlink()
	if err != nil {
		return "", err
	}
	defer nl.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br"
	if err := nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return "", fmt.Errorf("make a bridge: %w", err)
	}
	attrs.Name = "port"
	if err := nl.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(right.Fd()), PeerTxQLen: -1}); err != nil {
		return "", fmt.Errorf("make a veth pair across namespaces: %w", err)
	}
	return "can be made across namespaces", nil
}

func examineSysctl(Options) (string, error) {
	sys, err := openProcSys()
	if err != nil {
		return "", err
	}
	defer sys.close()
	if sys.mount != nil {
		return "/proc/sys is read-only here; a private procfs serves", nil
	}
	return "/proc/sys/net is writable", nil
}

// examineBPFFS mounts in a mount namespace of its own, which ends with its
// thread. The mount over /proc is seen by that thread alone.
func examineBPFFS(Options) (string, error) {
	return "can be mounted", onDyingThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare mount namespace: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
		if err := unix.Mount("bpf", "/proc", "bpf", 0, ""); err != nil {
			return fmt.Errorf("mount bpffs: %w", err)
		}
		return nil
	})
}

// onDyingThread runs f on a thread that ends with it: a locked thread ends
// with its goroutine. The main thread would not, so it is held while the next
// goroutine finds another.
func onDyingThread(f func() error) error {
	result, found := make(chan error, 1), make(chan struct{})
	var run func()
	run = func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			go run()
			<-found
			runtime.UnlockOSThread()
			return
		}
		close(found)
		result <- f()
	}
	go run()
	return <-result
}

func examineLeftovers(o Options) (string, error) {
	infos, err := List(o)
	if err != nil {
		return "", err
	}
	var bad []string
	for _, info := range infos {
		if info.State != StateUp {
			bad = append(bad, fmt.Sprintf("lab %s is %s: %s", info.Name, info.State, info.Detail))
		}
	}
	if len(bad) > 0 {
		return "", fmt.Errorf("%s", strings.Join(bad, "; "))
	}
	return fmt.Sprintf("none; labs that are up: %d", len(infos)), nil
}
