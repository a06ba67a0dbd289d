package ipvsadm

import "strings"

// tag names an option of the command line: its letter, or a number above the
// letters where it has none.
type tag rune

const (
	tagSet tag = 128 + iota
	tagStartDaemon
	tagStopDaemon
	tagMcastInterface
	tagTimeout
	tagDaemon
	tagStats
	tagRate
	tagThresholds
	tagPersistentConn
	tagSort
	tagNoSort
	tagPE
	tagSCTP
	tagMcastGroup
	tagMcastPort
	tagMcastTTL
	tagSyncMaxLen
	tagTunInfo
	tagTunType
	tagTunPort
	tagTunNoCsum
	tagTunCsum
	tagTunRemCsum
	tagSyncID
)

type argument uint8

const (
	noArgument argument = iota
	needsArgument
	mayHaveArgument
)

var longOptions = map[string]struct {
	tag
	argument
}{
	"add-service": {'A', noArgument}, "edit-service": {'E', noArgument}, "delete-service": {'D', noArgument},
	"clear": {'C', noArgument}, "list": {'L', noArgument}, "zero": {'Z', noArgument},
	"add-server": {'a', noArgument}, "edit-server": {'e', noArgument}, "delete-server": {'d', noArgument},
	"set": {tagSet, noArgument}, "help": {'h', noArgument}, "version": {'v', noArgument},
	"restore": {'R', noArgument}, "save": {'S', noArgument},
	"start-daemon": {tagStartDaemon, needsArgument}, "stop-daemon": {tagStopDaemon, needsArgument},
	"tcp-service": {'t', needsArgument}, "udp-service": {'u', needsArgument},
	"sctp-service": {tagSCTP, needsArgument}, "fwmark-service": {'f', needsArgument},
	"scheduler": {'s', needsArgument}, "persistent": {'p', mayHaveArgument}, "netmask": {'M', needsArgument},
	"real-server": {'r', needsArgument}, "masquerading": {'m', noArgument}, "ipip": {'i', noArgument},
	"gatewaying": {'g', noArgument}, "weight": {'w', needsArgument}, "u-threshold": {'x', needsArgument},
	"l-threshold": {'y', needsArgument}, "numeric": {'n', noArgument}, "connection": {'c', noArgument},
	"mcast-interface": {tagMcastInterface, needsArgument}, "syncid": {tagSyncID, needsArgument},
	"timeout": {tagTimeout, noArgument}, "daemon": {tagDaemon, noArgument}, "stats": {tagStats, noArgument},
	"rate": {tagRate, noArgument}, "thresholds": {tagThresholds, noArgument},
	"persistent-conn": {tagPersistentConn, noArgument}, "nosort": {tagNoSort, noArgument},
	"sort": {tagSort, noArgument}, "exact": {'X', noArgument}, "ipv6": {'6', noArgument},
	"ops": {'o', noArgument}, "pe": {tagPE, needsArgument}, "sched-flags": {'b', needsArgument},
	"mcast-group": {tagMcastGroup, needsArgument}, "mcast-port": {tagMcastPort, needsArgument},
	"mcast-ttl": {tagMcastTTL, needsArgument}, "sync-maxlen": {tagSyncMaxLen, needsArgument},
	"tun-info": {tagTunInfo, noArgument}, "tun-type": {tagTunType, needsArgument},
	"tun-port": {tagTunPort, needsArgument}, "tun-nocsum": {tagTunNoCsum, noArgument},
	"tun-csum": {tagTunCsum, noArgument}, "tun-remcsum": {tagTunRemCsum, noArgument},
}

// shortOptions are those whose tag is a letter, and -l, which is -L.
var shortOptions = func() map[byte]argument {
	short := map[byte]argument{'l': noArgument}
	for _, o := range longOptions {
		if o.tag < 128 {
			short[byte(o.tag)] = o.argument
		}
	}
	return short
}()

// scanner takes a command line apart as the library popt does: options anywhere,
// letters in clusters, an argument behind a blank, a "=", or at once behind its
// letter. It knows no abbreviations.
type scanner struct {
	args    []string
	next    int
	cluster *string  // letters left of the word at next-1
	rest    []string // words that are no options
	ended   bool     // "--" was there
	servers bool     // the command is about a server, and -b needs no argument
}

// found is an option with its argument, which is there iff given.
type found struct {
	tag
	argument string
	given    bool
}

// bad is the word that popt names in an error: the last one it took.
func (s *scanner) bad() string { return s.args[s.next-1] }

func (s *scanner) fault(reason string) error { return fail(exitRefused, "%s: %s", s.bad(), reason) }

// option returns the next option; ok is false at the end of the line.
func (s *scanner) option() (f found, ok bool, err error) {
	for s.cluster == nil {
		if s.next == len(s.args) {
			return found{}, false, nil
		}
		word := s.args[s.next]
		s.next++
		switch {
		case s.ended || !strings.HasPrefix(word, "-") || word == "-":
			s.rest = append(s.rest, word)
		case word == "--":
			s.ended = true
		case strings.HasPrefix(word, "--"):
			return s.long(word[2:])
		default:
			letters := word[1:]
			s.cluster = &letters
		}
	}
	return s.short()
}

func (s *scanner) long(word string) (f found, ok bool, err error) {
	name, value, given := strings.Cut(word, "=")
	o, known := longOptions[name]
	switch {
	case !known:
		return found{}, false, s.fault("unknown option")
	case o.argument == noArgument && given:
		return found{}, false, s.fault("option does not take an argument")
	case given:
		return found{o.tag, value, true}, true, nil
	}
	return s.argument(o.tag, o.argument)
}

func (s *scanner) short() (f found, ok bool, err error) {
	letters := *s.cluster
	s.cluster = nil
	takes, known := shortOptions[letters[0]]
	if !known {
		return found{}, false, s.fault("unknown option")
	}
	t, rest := tag(letters[0]), letters[1:]
	if s.servers && t == 'b' {
		takes = mayHaveArgument
	}
	if rest == "" {
		return s.argument(t, takes)
	}
	switch value, given := strings.CutPrefix(rest, "="); {
	case takes != noArgument:
		return found{t, value, true}, true, nil
	case given:
		return found{}, false, s.fault("option does not take an argument")
	}
	s.cluster = &rest
	return found{tag: t}, true, nil
}

// argument takes the next word for an option that wants one. One that may do
// without leaves a word alone that looks like an option.
func (s *scanner) argument(t tag, takes argument) (f found, ok bool, err error) {
	left := s.next < len(s.args)
	switch {
	case takes == noArgument, takes == mayHaveArgument && (!left || strings.HasPrefix(s.args[s.next], "-")):
		return found{tag: t}, true, nil
	case !left:
		return found{}, false, s.fault("missing argument")
	}
	s.next++
	return found{t, s.bad(), true}, true, nil
}
