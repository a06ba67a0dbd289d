package ipvsadm

// DefaultScheduler is a service's that asks for none.
const DefaultScheduler = "wlc"

const (
	maxTimeout     = 86400 * 31 // seconds
	defaultPersist = 360        // seconds
	maxInt         = 1<<31 - 1
	maxUint        = 1<<32 - 1
)

var commands = map[tag]Op{
	'A': Add, 'E': Edit, 'D': Delete, 'C': Flush, 'L': List, 'l': List, 'Z': Zero, 'a': AddDest, 'e': EditDest,
	'd': DeleteDest, tagSet: SetTimeouts, 'R': Restore, 'S': Save, tagStartDaemon: StartDaemon,
	tagStopDaemon: StopDaemon, 'h': Help, 'v': Version,
}

// Parse reads a command line: program is how ipvsadm was called, args what came
// behind. No arguments at all list the table. An error is an *Error.
func Parse(program string, args []string, names Names) (Command, error) {
	if len(args) == 0 {
		return Command{Op: List}, nil
	}
	p := parser{words: scanner{args: args}, names: names}
	p.cmd.Dest.Weight = 1
	first, ok, err := p.words.option()
	op, known := commands[first.tag]
	if err != nil || !ok || !known {
		return Command{}, tryHelp(program)
	}
	p.cmd.Op = op
	p.words.servers = op == AddDest || op == EditDest
	if err := p.command(first); err != nil || op == Help || op == Version {
		return p.cmd, err
	}
	if err := p.options(); err != nil {
		return Command{}, err
	}
	if err := p.arguments(); err != nil {
		return Command{}, err
	}
	return p.cmd, p.check()
}

const tryText = "Try `"

func tryHelp(program string) error {
	return fail(exitRefused, tryText+"%s -h' or '%s --help' for more information.", program, program)
}

type parser struct {
	words scanner
	names Names
	cmd   Command
	flags string // of the scheduler, as typed
}

// command takes in the first option, which says what to do.
func (p *parser) command(f found) error {
	switch p.cmd.Op {
	case StartDaemon, StopDaemon:
		p.cmd.Daemon.Backup = f.argument == "backup"
		if f.argument == "master" || f.argument == "backup" {
			return nil
		}
		if p.cmd.Op == StartDaemon {
			return fail(exitUsage, "illegal start-daemon parameter specified")
		}
		return fail(exitUsage, "illegal start_daemon specified")
	}
	return nil
}

func (p *parser) options() error {
	for {
		f, ok, err := p.words.option()
		if err != nil || !ok {
			return err
		}
		if err := p.option(f); err != nil {
			return err
		}
	}
}

// plain are the options that need no more than to be noted.
var plain = map[tag]Option{
	'c': OptConnections, 'n': OptNumeric, tagTimeout: OptTimeout, tagDaemon: OptDaemon, tagStats: OptStats,
	tagRate: OptRate, tagThresholds: OptThresholds, tagPersistentConn: OptPersistentConn,
	tagNoSort: OptNoSort, 'X': OptExact, tagTunInfo: OptTunInfo,
}

// option takes in one option behind the command. Its order matters, as it does
// to ipvsadm: -r takes the port of a service named before it.
func (p *parser) option(f found) error {
	if o, ok := plain[f.tag]; ok {
		return p.note(o)
	}
	switch f.tag {
	case tagSort: // the default
		return nil
	case '6':
		if p.cmd.Service.Mark == 0 {
			return fail(exitUsage, "-6 used before -f\n")
		}
		p.cmd.Service.Six, p.cmd.Service.Prefix = true, 128
		return nil
	}
	for _, take := range []func(found) (bool, error){p.dest, p.service, p.tunnel, p.daemon} {
		if mine, err := take(f); mine || err != nil {
			return err
		}
	}
	return fail(exitUsage, "invalid option `%s'", p.words.bad())
}

// note marks an option as given.
func (p *parser) note(o Option) error {
	if p.cmd.Options.Has(o) {
		return fail(exitUsage, "multiple '%s' options specified", optionNames[o])
	}
	p.cmd.Options |= 1 << o
	return nil
}

// noted reports an option as one that the caller knows; err is that it was there before.
func (p *parser) noted(o Option, more error) (bool, error) {
	if err := p.note(o); err != nil {
		return true, err
	}
	return true, more
}

// arguments takes in what is no option.
func (p *parser) arguments() error {
	rest := p.words.rest
	if p.cmd.Op == SetTimeouts {
		if len(rest) < 3 {
			return fail(exitUsage, "--set option requires 3 timeout values")
		}
		for i, into := range []*uint32{&p.cmd.Timeouts.TCP, &p.cmd.Timeouts.TCPFin, &p.cmd.Timeouts.UDP} {
			seconds, err := timeout(rest[i], 0)
			if err != nil {
				return err
			}
			*into = seconds
		}
		rest = rest[3:]
	}
	if len(rest) > 0 {
		return fail(exitUsage, "unexpected argument %s", rest[0])
	}
	return p.schedulerFlags()
}
