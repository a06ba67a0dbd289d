// Package accesslog writes a line for each HTTP exchange: the formats, and files
// that no request ever waits for.
//
//	Record   what is known of an exchange when it is over
//	Log      a service's: a format, a share of the requests, a Sink
//	Sink     a file: lines are put into memory, and a goroutine writes them
//	Logs     the sinks of a process, one per file
//
// Whatever a client sends, a record is one line, and no part of it can be taken
// for another: see escape.go.
package accesslog
