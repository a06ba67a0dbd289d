package scenario

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// otherKeys are the keys by which other load balancers and load generators call
// ours (DESIGN.md, one word per thing). Of several, the one that the section has is meant.
var otherKeys = map[string][]string{
	"mode": {"forward"}, "forwarding": {"forward"}, "method": {"forward"},
	"scheduler": {"policy"}, "algorithm": {"policy"}, "balance": {"policy"}, "lb_policy": {"policy"},
	"listen": {"vip"}, "bind": {"vip"}, "address": {"vip"}, "ip": {"address", "vip"},
	"targets": {"backends"}, "members": {"backends"}, "upstreams": {"backends"}, "endpoints": {"backends"}, "pool": {"backends"},
	"server": {"node"}, "layer": {"plane"}, "type": {"kind", "role", "plane"}, "protocol": {"proto"},
	"health": {"check"}, "healthcheck": {"check"}, "health_check": {"check"}, "healthchecks": {"checks"}, "health_checks": {"checks"},
	"url": {"path"}, "uri": {"path"}, "expect": {"status"}, "code": {"status"}, "headers": {"header"},
	"inter": {"interval"}, "period": {"interval"}, "healthy_threshold": {"rise"}, "unhealthy_threshold": {"fall"},
	"qps": {"rate"}, "rps": {"rate"}, "concurrency": {"connections"}, "clients": {"connections"}, "conns": {"connections"},
	"warm_up": {"warmup"}, "cidr": {"subnet"}, "prefix": {"subnet"}, "gateway": {"via"}, "gw": {"via"}, "dst": {"to"}, "dest": {"to"},
	"size": {"body"}, "listeners": {"services"}, "frontends": {"services"}, "virtual_servers": {"services"}, "loads": {"workloads"},
	"interface": {"interfaces"}, "devices": {"interfaces"}, "device": {"interfaces"}, "dev": {"interfaces"}, "nic": {"interfaces"}, "real_server": {"backends"}, "real_servers": {"backends"}, "virtual_server": {"services"},
	"lb_algo": {"policy"}, "lb_kind": {"forward"}, "xdp_mode": {"hook"}, "flows": {"max_flows"}, "conn_tab_size": {"max_flows"}, "uthreshold": {"upper"}, "lthreshold": {"lower"}, "token": {"token_file"}, "run_dir": {"dir"}, "pin_dir": {"pins"}, "pinpath": {"pins"},
	"repeat": {"rounds"}, "repetitions": {"rounds"}, "iterations": {"rounds"},
}

// meantKey guesses which key of a section a word that is none was meant to be, or "".
func (fs fields) meantKey(word string) string {
	if key := nearest(word, fs.names()); key != "" {
		return key
	}
	plain := strings.ReplaceAll(strings.ToLower(word), "-", "_")
	for _, key := range otherKeys[plain] {
		if fs.named(key) != nil {
			return key
		}
	}
	return ""
}

// meantSection guesses what a section written as one value was meant to be:
// "{plane: l7}" for l7 if plane is all that the section needs, or
// "{node: s1, port: 8080}" for s1:8080.
func (fs fields) meantSection(n ast.Node) string {
	text, ok := scalarText(n)
	if !ok || len(text) > 60 {
		return ""
	}
	if short, port := fs.short(), fs.named("port"); short != nil {
		name, number, cut := strings.Cut(text, ":")
		if cut && port != nil && !short.takes(text) && short.takes(name) && port.takes(number) {
			return "{" + short.name + ": " + name + ", port: " + number + "}"
		}
		return ""
	}
	var needed []field
	for _, f := range fs {
		if f.required {
			needed = append(needed, f)
		}
	}
	if len(needed) == 1 && needed[0].takes(text) {
		return "{" + needed[0].name + ": " + text + "}"
	}
	return ""
}

// meantCheck guesses which check a word that names none was meant to be, or "".
func meantCheck(word string, known []string) string {
	switch strings.ToLower(word) {
	case "off", "no", "false", "disabled", "never":
		return noCheck
	}
	if slices.Contains(kinds{}.words(), word) {
		return "{kind: " + word + "}"
	}
	return nearest(word, append(known, noCheck))
}
