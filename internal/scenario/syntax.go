package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits on a file, so that no input costs more than a moment: they are far
// above any scenario and far below what would exhaust the stack or the clock.
const (
	maxFile  = 1 << 20 // bytes
	maxLine  = 4096    // bytes
	maxDepth = 32      // brackets within brackets
	maxWords = 50_000  // tokens: go-yaml's parser takes time by the square of a mapping's length
)

// tree turns a file with these keys into its syntax tree. It returns nil after
// noting what is wrong with the file's bytes or its YAML.
func (s *source) tree(data []byte, keys fields) ast.Node {
	text, ok := s.text(data)
	if !ok {
		return nil
	}
	tokens := lexer.Tokenize(text)
	if !s.checkTokens(tokens) {
		return nil
	}
	file, err := parseTokens(tokens)
	if err != nil {
		s.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		s.fail(Pos{}, "", "the file is empty: want at least %s", keys.needed())
		return nil
	case 1:
		return bodies[0]
	}
	s.fail(at(bodies[1]), "", "the file holds a second document: want one %s in a file", s.language)
	return nil
}

// text checks the bytes and returns them with line ends made one.
func (s *source) text(data []byte) (string, bool) {
	if len(data) > maxFile {
		s.fail(Pos{}, "", "the file is larger than %d bytes", maxFile)
		return "", false
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
	s.lines = strings.Split(text, "\n")
	for i, line := range s.lines {
		if !utf8.ValidString(line) {
			valid := 0
			for r, size := utf8.DecodeRuneInString(line[valid:]); r != utf8.RuneError || size > 1; r, size = utf8.DecodeRuneInString(line[valid:]) {
				valid += size
			}
			s.lines[i] = strings.ToValidUTF8(line, "?")
			s.fail(Pos{i + 1, utf8.RuneCountInString(line[:valid]) + 1}, "", "byte 0x%02x is not UTF-8", line[valid])
			continue
		}
		if len(line) > maxLine {
			s.fail(Pos{i + 1, 1}, "", "the line has %d bytes: want at most %d", len(line), maxLine)
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && len(indent) < len(line) && line[len(indent)] != '#' {
			s.fail(Pos{i + 1, tab + 1}, "", "a tab indents the line: YAML indents by spaces only")
		}
		if c := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); c >= 0 {
			s.fail(Pos{i + 1, utf8.RuneCountInString(line[:c]) + 1}, "", "control character 0x%02x", line[c])
		}
	}
	return text, len(s.errs) == 0
}

// checkTokens refuses what makes a YAML file mean more than it shows. Without
// anchors there are no aliases to expand, so a small file stays small.
func (s *source) checkTokens(tokens token.Tokens) bool {
	if len(tokens) > maxWords {
		p := tokens[maxWords].Position
		s.fail(Pos{p.Line, p.Column}, "", "the file has more than %d words and signs", maxWords)
	}
	depth := 0
	for _, t := range tokens {
		at := Pos{t.Position.Line, t.Position.Column}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			s.fail(at, "", "anchors, aliases and merge keys are not part of the %s language: define a check once under \"checks\" and name it where it is used", s.language)
		case token.TagType:
			s.fail(at, "", "tags are not part of the %s language: each key knows its type", s.language)
		case token.DirectiveType:
			s.fail(at, "", "directives are not part of the %s language", s.language)
		case token.MappingKeyType:
			s.fail(at, "", "write \"key: value\", without the question mark")
		case token.SequenceStartType, token.MappingStartType:
			if depth++; depth == maxDepth+1 {
				s.fail(at, "", "more than %d brackets within brackets", maxDepth)
			}
		case token.SequenceEndType, token.MappingEndType:
			depth--
		}
	}
	return len(s.errs) == 0
}

// parseTokens calls the YAML parser. It makes a panic there an error: go-yaml has
// had a few on malformed input (its own fuzz corpus lists them), and a broken
// file must never take a daemon down.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML parser gave up: %v", r)
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// syntax notes an error of the YAML parser in our own format.
func (s *source) syntax(err error) {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil {
		s.fail(Pos{}, "", "%v", err)
		return
	}
	p := y.GetToken().Position
	message, suggest := y.GetMessage(), ""
	switch {
	case strings.Contains(message, "unexpected key name"):
		message = "want \"key: value\" with a space after the colon"
	case strings.HasPrefix(message, "could not find flow mapping end"):
		message = "this { has no }"
	case strings.HasPrefix(message, "could not find flow sequence end"), strings.HasPrefix(message, "sequence end token ']' not found"):
		message = "this [ has no ]"
	case strings.HasPrefix(message, "could not find end character of"):
		message = "this quote has no end"
	case strings.Contains(message, "value is not allowed in this context") && p.Line <= len(s.lines):
		// [2001:2::1]:80 without quotes starts a list.
		if addr := bracketed.FindString(s.lines[p.Line-1]); addr != "" {
			message = "an address in brackets must be in quotes"
			suggest = addr
		} else {
			message = "nothing can stand here: check the indentation, and the line before"
		}
	}
	s.fail(Pos{p.Line, p.Column}, suggest, "%s", message)
}

// at returns where a node begins. For a mapping that is its first key.
func at(n ast.Node) Pos {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return at(n.Values[0])
		}
	case *ast.MappingValueNode:
		return at(n.Key)
	}
	if n == nil {
		return Pos{}
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return Pos{}
	}
	return Pos{t.Position.Line, t.Position.Column}
}
