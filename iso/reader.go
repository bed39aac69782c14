package iso

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader walks a YAML tree and gathers everything wrong with it, each with its line.
type reader struct {
	file     string
	profile  bool // it is a bank's profile, else a dialect
	last     int  // the highest field of the dialect
	problems []*LoadError
	bases    *lineage // nil: the file stands alone
}

func (r *reader) fail(line int, format string, args ...any) {
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	file := r.file
	if from := line >> lineBits; from > 0 && r.bases != nil {
		file, line = r.bases.files[from], line&(1<<lineBits-1)
	}
	r.problems = append(r.problems, &LoadError{File: file, Line: max(line, 1), Text: text})
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

// document returns the root of the file's one document, nil when it was reported.
func (r *reader) document(text []byte) *yaml.Node {
	kind, begin := "dialect", "begin with a block meta: {schema: 1, id: ..., version: ..., title: ...}"
	if r.profile {
		kind, begin = "profile", "begin with a block meta: {schema: 1, id: ..., version: ...}"
	}
	if len(text) > maxFileSize {
		r.fail(1, "the file is larger than 1 MiB; a %s takes a few KiB", kind)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		line, what := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if errors.Is(err, io.EOF) {
			what = "the file is empty; " + begin
		} else if at := yamlLine.FindStringSubmatch(err.Error()); at != nil {
			line, _ = strconv.Atoi(at[1])
			what = "not YAML: " + at[2]
		}
		r.fail(line, "%s", what)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		r.fail(1, "a %s file holds one YAML document; remove what follows the line ---", kind)
		return nil
	}
	if len(doc.Content) == 0 {
		r.fail(1, "the file is empty; %s", begin)
		return nil
	}
	return doc.Content[0]
}

// section is one mapping of the file. A nil section reads as empty and reports
// nothing, because what made it nil was reported.
type section struct {
	r    *reader
	path string
	line int
	keys []*yaml.Node
	vals []*yaml.Node
	seen []string
}

func (r *reader) section(n *yaml.Node, path string) *section {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, "%s must be a mapping, written as key: value", name(path))
		return nil
	}
	s := &section{r: r, path: path, line: n.Line}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			r.fail(key.Line, "a key of %s must be a plain word or number", name(path))
		case val.Kind == yaml.AliasNode:
			r.fail(val.Line, "%s: write the value out; these files have no aliases", s.at(key.Value))
		case slices.ContainsFunc(s.keys, func(k *yaml.Node) bool { return k.Value == key.Value }):
			r.fail(key.Line, "%s is written twice; remove one", s.at(key.Value))
		default:
			s.keys, s.vals = append(s.keys, key), append(s.vals, val)
		}
	}
	return s
}

func name(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func (s *section) at(key string) string {
	if s.path == "" {
		return key
	}
	return s.path + "." + key
}

func (s *section) fail(format string, args ...any) {
	if s != nil {
		s.r.fail(s.line, format, args...)
	}
}

// find returns the value of a key, nil when it is absent.
func (s *section) find(key string) *yaml.Node {
	if s == nil {
		return nil
	}
	s.seen = append(s.seen, key)
	for i, k := range s.keys {
		if k.Value == key {
			return s.vals[i]
		}
	}
	return nil
}

// need is find that reports an absent key; hint says what to write.
func (s *section) need(key, hint string) *yaml.Node {
	n := s.find(key)
	if n == nil && s != nil {
		s.r.fail(s.line, "%s is missing; write %s: %s", s.at(key), key, hint)
	}
	return n
}

func (s *section) has(key string) bool { return s.find(key) != nil }

func (s *section) lineOf(key string) int {
	if n := s.find(key); n != nil {
		return n.Line
	}
	if s == nil {
		return 1
	}
	return s.line
}

// done reports the keys nobody asked for.
func (s *section) done() {
	if s == nil {
		return
	}
	for _, k := range s.keys {
		if !slices.Contains(s.seen, k.Value) {
			known := slices.Compact(slices.Sorted(slices.Values(s.seen)))
			s.r.fail(k.Line, "%s has no key %q; it has %s", name(s.path), k.Value, strings.Join(known, ", "))
		}
	}
}

func (s *section) sub(key string) *section {
	n := s.need(key, "{...}")
	if n == nil {
		return nil
	}
	return s.r.section(n, s.at(key))
}

func (s *section) optional(key string) *section {
	if n := s.find(key); n != nil {
		return s.r.section(n, s.at(key))
	}
	return nil
}

// each yields every entry of a mapping whose keys are free.
func (s *section) each(yield func(key string, val *yaml.Node) bool) {
	if s == nil {
		return
	}
	for i, k := range s.keys {
		s.seen = append(s.seen, k.Value)
		if !yield(k.Value, s.vals[i]) {
			return
		}
	}
}

func (s *section) scalar(key, hint string) (string, int, bool) {
	n := s.need(key, hint)
	if n == nil {
		return "", 0, false
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		s.r.fail(n.Line, "%s must be one value; write %s: %s", s.at(key), key, hint)
		return "", 0, false
	}
	return n.Value, n.Line, true
}

// text reads a text of at most limit characters, empty when absent or wrong.
func (s *section) text(key, hint string, limit int) string {
	v, line, ok := s.scalar(key, hint)
	if ok && (v == "" || len(v) > limit) {
		s.r.fail(line, "%s must have 1 to %d characters; write %s: %s", s.at(key), limit, key, hint)
	}
	return v
}

// number reads a whole number from lo to hi.
func (s *section) number(key string, lo, hi int) int {
	v, line, ok := s.scalar(key, strconv.Itoa(lo))
	if !ok {
		return lo
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < lo || n > hi {
		s.r.fail(line, "%s must be a whole number from %d to %d", s.at(key), lo, hi)
		return lo
	}
	return n
}

// oneOf reads a word of a closed list and returns its place in it, -1 when wrong.
func (s *section) oneOf(key string, words []string) int {
	v, line, ok := s.scalar(key, strings.Join(words, " or "))
	if !ok {
		return -1
	}
	i := slices.Index(words, v)
	if i < 0 || v == "" {
		s.r.fail(line, "%s: %q is not known; write %s", s.at(key), v, strings.Join(words, " or "))
		return -1
	}
	return i
}

func (s *section) flag(key string) bool { return s.oneOf(key, []string{"false", "true"}) == 1 }

// optionalFlag is flag whose absence means false.
func (s *section) optionalFlag(key string) bool { return s.has(key) && s.flag(key) }

func (s *section) duration(key string) time.Duration {
	v, line, ok := s.scalar(key, "30s")
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 || d > 366*24*time.Hour {
		s.r.fail(line, "%s: %q is not a duration up to 366 days; write it like 500ms, 30s, 5m or 72h", s.at(key), v)
		return 0
	}
	return d
}

// list reads a sequence of plain values.
func (r *reader) list(n *yaml.Node, path string) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n.Line, "%s must be a list, written as [a, b]", path)
		return nil
	}
	var out []*yaml.Node
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			r.fail(item.Line, "%s must be a list of plain values, written as [a, b]", path)
			continue
		}
		out = append(out, item)
	}
	return out
}

// fieldList reads field numbers, each once.
func (r *reader) fieldList(n *yaml.Node, path string) []int {
	var out []int
	for _, item := range r.list(n, path) {
		f, ok := r.dataField(item.Value)
		switch {
		case !ok:
			r.fail(item.Line, "%s: %q is not a field; write numbers from 2 to %d without 65", path, item.Value, r.last)
		case slices.Contains(out, f):
			r.fail(item.Line, "%s names field %d twice; remove one", path, f)
		default:
			out = append(out, f)
		}
	}
	return out
}

// dataField reads the number of a field that carries data: not 65, whose bit
// announces a third bitmap.
func (r *reader) dataField(s string) (int, bool) {
	f, err := strconv.Atoi(s)
	return f, err == nil && f >= 2 && f <= r.last && f != 65 && strconv.Itoa(f) == s
}
