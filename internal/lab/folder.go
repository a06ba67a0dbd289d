package lab

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"regexp"
)

// hub is the namespace with the bridges. No node can have its name.
const hub = "_hub"

// folder is where a lab keeps its files.
type folder string

func (o Options) folder(lab string) folder { return folder(filepath.Join(o.Dir, lab)) }

func (f folder) path(elem ...string) string {
	return filepath.Join(append([]string{string(f)}, elem...)...)
}

func (f folder) netns(node string) string { return f.path("netns", node) }
func (f folder) log(node string) string   { return f.path("log", node+".log") }
func (f folder) bpffs() string            { return f.path("bpf") }
func (f folder) registry() string         { return f.path("lab.json") }

// nameRule keeps names usable as file names, and a lab's folder inside the
// run directory.
var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func checkName(what, name string) error {
	if !nameRule.MatchString(name) {
		return fmt.Errorf("check %s name %q: want 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit", what, name)
	}
	return nil
}

// maxInterfaceName is IFNAMSIZ without its terminating zero.
const maxInterfaceName = 15

// bridgeName is the bridge of a network, in the hub.
func bridgeName(network string) string { return interfaceName("br-" + network) }

// PortName is the hub's end of a node's link, a port of the bridge: "s1-eth0".
func PortName(node, link string) string { return interfaceName(node + "-" + link) }

// interfaceName shortens what the kernel would refuse, with a hash to keep it
// unique.
func interfaceName(name string) string {
	if len(name) <= maxInterfaceName {
		return name
	}
	hash := fnv.New32a()
	hash.Write([]byte(name))
	return fmt.Sprintf("%s.%08x", name[:maxInterfaceName-9], hash.Sum32())
}
