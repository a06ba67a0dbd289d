package ipvsadm

// Op is what a command line asks for.
type Op uint8

// The operations.
const (
	Add Op = iota
	Edit
	Delete
	Flush
	List
	AddDest
	DeleteDest
	EditDest
	SetTimeouts
	StartDaemon
	StopDaemon
	Restore
	Save
	Zero
	Help
	Version
)

// opNames are the words of error messages.
var opNames = []string{
	"add-service", "edit-service", "delete-service", "flush", "list", "add-server", "delete-server",
	"edit-server", "set", "start-daemon", "stop-daemon", "restore", "save", "zero",
}

// Option is one of the options that a command may have, as a bit of Options.
type Option uint8

// The options, in the order in which their errors come.
const (
	OptNumeric Option = iota
	OptConnections
	OptService
	OptScheduler
	OptPersistent
	OptNetmask
	OptServer
	OptForward
	OptWeight
	OptUpper
	OptLower
	OptMcastInterface
	OptTimeout
	OptDaemon
	OptStats
	OptRate
	OptThresholds
	OptPersistentConn
	OptNoSort
	OptSyncID
	OptExact
	OptOnePacket
	OptPE
	OptSchedFlags
	OptMcastGroup
	OptMcastPort
	OptMcastTTL
	OptSyncMaxLen
	OptTunInfo
	OptTunType
	OptTunPort
	OptTunNoCsum
	OptTunCsum
	OptTunRemCsum
	optionCount
)

var optionNames = [optionCount]string{
	"numeric", "connection", "service-address", "scheduler", "persistent", "netmask", "real-server",
	"forwarding-method", "weight", "u-threshold", "l-threshold", "mcast-interface", "timeout", "daemon",
	"stats", "rate", "thresholds", "persistent-conn", "nosort", "syncid", "exact", "ops", "pe",
	"sched-flags", "mcast-group", "mcast-port", "mcast-ttl", "sync-maxlen", "tun-info", "tun-type",
	"tun-port", "tun-nocsum", "tun-csum", "tun-remcsum",
}

// Options is a set of them.
type Options uint64

// Has reports whether the set has any of these.
func (o Options) Has(any ...Option) bool { return o&options(any...) != 0 }

func options(list ...Option) (set Options) {
	for _, o := range list {
		set |= 1 << o
	}
	return set
}

// Command is one command line that makes sense.
type Command struct {
	Op       Op
	Options  Options
	Service  Service // iff OptService: its key, and what Add and Edit set
	Dest     Dest    // iff OptServer
	Timeouts Timeouts
	Daemon   Daemon
}

// Daemon is what start-daemon and stop-daemon are told.
type Daemon struct {
	Backup    bool
	Interface string
	Group     string
	Port, TTL int
	SyncID    int
	MaxLen    int
}

// legality says which options a command must have, may have, and may have only
// one of; any other is illegal.
type legality struct{ must, may, one Options }

var (
	serviceForm = legality{
		must: options(OptService),
		may:  options(OptScheduler, OptPersistent, OptNetmask, OptOnePacket, OptPE, OptSchedFlags),
	}
	destForm = legality{
		must: options(OptService, OptServer),
		may:  options(OptForward, OptWeight, OptUpper, OptLower, OptTunType, OptTunPort, OptTunNoCsum, OptTunCsum, OptTunRemCsum),
	}
	legal = []legality{
		Add:    serviceForm,
		Edit:   serviceForm,
		Delete: {must: options(OptService)},
		Flush:  {},
		List: {
			may: options(OptNumeric, OptStats, OptRate, OptThresholds, OptPersistentConn, OptNoSort, OptExact, OptTunInfo),
			one: options(OptConnections, OptService, OptTimeout, OptDaemon),
		},
		AddDest:     destForm,
		DeleteDest:  {must: options(OptService, OptServer)},
		EditDest:    destForm,
		SetTimeouts: {},
		StartDaemon: {may: options(OptMcastInterface, OptSyncID, OptMcastGroup, OptMcastPort, OptMcastTTL, OptSyncMaxLen)},
		StopDaemon:  {may: options(OptSyncID)},
		Restore:     {},
		Save:        {may: options(OptNumeric)},
		Zero:        {may: options(OptService)},
	}
	// legalTunnel is the same for the options of a tunnel type.
	tunnelOptions = []Option{OptTunPort, OptTunNoCsum, OptTunCsum, OptTunRemCsum}
	legalTunnel   = []legality{
		IPIP: {},
		GUE:  {must: options(OptTunPort), one: options(OptTunNoCsum, OptTunCsum, OptTunRemCsum)},
		GRE:  {one: options(OptTunNoCsum, OptTunCsum)},
	}
)

// check goes through the options in their order and returns the first fault.
func (l legality) check(given Options, order []Option, what string) error {
	first := optionCount
	for _, o := range order {
		switch {
		case !given.Has(o):
			if l.must.Has(o) {
				return fail(exitUsage, "You need to supply the '%s' option for the %s", optionNames[o], what)
			}
		case l.one.Has(o):
			if first != optionCount {
				return fail(exitUsage, "The option '%s' conflicts with the '%s' option in the %s", optionNames[o], optionNames[first], what)
			}
			first = o
		case !(l.must | l.may).Has(o):
			return fail(exitUsage, "Illegal '%s' option with the %s", optionNames[o], what)
		}
	}
	return nil
}

var allOptions = func() (all []Option) {
	for o := range optionCount {
		all = append(all, o)
	}
	return all
}()
