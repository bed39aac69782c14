package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/iso"
)

// newDialect is what a new dialect file begins with.
type newDialect struct {
	ID, Title, Like, Kind, Header, Golden string
	Width                                 int
}

func dialectNewCommand() *cobra.Command {
	var n newDialect
	var ask bool
	c := &cobra.Command{
		Use:   "new FILE",
		Short: "Begin a dialect file for a bank: asks, or takes flags",
		Long: `New writes a commented dialect file that inherits from a built-in dialect and lints clean. With --ask it asks for
what the flags do not say. It never overwrites a file.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			if n.ID == "" {
				n.ID = strings.TrimSuffix(filepath.Base(files[0]), filepath.Ext(files[0]))
			}
			if ask {
				if err := n.ask(cmd); err != nil {
					return err
				}
			}
			text, err := n.text(filepath.Join(filepath.Dir(files[0]), n.ID+".yaml"))
			if err != nil {
				return err
			}
			out, err := os.OpenFile(files[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			switch {
			case errors.Is(err, fs.ErrExist):
				return fmt.Errorf("%s is there already; name another file", files[0])
			case err != nil:
				return err
			}
			if _, err = out.Write(text); err == nil {
				err = out.Sync()
			}
			if err = errors.Join(err, out.Close()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is written; next: tranzit dialect lint %s, then docs/new-bank.md\n", files[0], files[0])
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&n.ID, "id", "", "short name, a-z, 0-9 and -; default: the file's name")
	f.StringVar(&n.Title, "title", "", "one line for people")
	f.StringVar(&n.Like, "like", "ascii87", "the built-in dialect that comes nearest")
	f.StringVar(&n.Kind, "frame", "", "length before a message: len-ascii, len-bin, len-bcd, len-hex; default: as the built-in has it")
	f.IntVar(&n.Width, "width", 2, "bytes of that length, with --frame")
	f.StringVar(&n.Header, "header", "", "literal text before the message type, such as ISO006000010; default: none")
	f.BoolVar(&ask, "ask", false, "ask for all of these")
	return c
}

// ask reads what the flags leave open, one line each; an empty line takes the
// default shown.
func (n *newDialect) ask(cmd *cobra.Command) error {
	in := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1<<16))
	width := strconv.Itoa(n.Width)
	for _, q := range []struct {
		text  string
		value *string
	}{
		{"Short name of the dialect", &n.ID},
		{"One line for people, such as the bank and its document", &n.Title},
		{"Which built-in comes nearest (" + strings.Join(iso.Builtins(), ", ") + ")", &n.Like},
		{"Length before a message: len-ascii, len-bin, len-bcd, len-hex, empty: as there", &n.Kind},
		{"Bytes of that length", &width},
		{"Literal header before the message type, empty: none", &n.Header},
	} {
		fmt.Fprintf(cmd.OutOrStdout(), "%s [%s]: ", q.text, *q.value)
		line, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if line = strings.TrimSpace(line); line != "" {
			*q.value = line
		}
	}
	fmt.Fprintln(cmd.OutOrStdout())
	var err error
	if n.Width, err = strconv.Atoi(width); err != nil {
		return fmt.Errorf("%q is not a number of bytes", width)
	}
	return nil
}

var newDialectText = template.Must(template.New("dialect").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(`# {{.Title}}
# Everything that is not said here is as in the built-in dialect {{.Like}}: tranzit dialect show {{.Like}}
# Words and blocks: docs/dialects.md. Check after every change: tranzit dialect lint, and then
# tranzit dialect diff {{.Like}} THIS_FILE.
inherits: {{.Like}}

meta: {schema: 1, id: {{.ID}}, version: 1, title: {{quote .Title}}}
{{if .Kind}}
link:
  frame: {kind: {{.Kind}}, width: {{.Width}}, inclusive: false, max: {{.Max}}, zero: keepalive}
{{else}}
# 1. The frame: the length before each message. From the bank's document, chapter "communication".
# link:
#   frame: {kind: len-bin, width: 2, inclusive: false, max: 8192, zero: keepalive}
{{end}}{{if .Header}}
header: {kind: literal, text: {{quote .Header}}, receive: same}
{{else}}
# 2. A header before the message type.
# header: {kind: literal, text: "ISO006000010", receive: same}
{{end}}
# 3. Fields that lie otherwise on the wire than in {{.Like}}. A row replaces the whole inherited row.
# encoding:
#   fields:
#     48: {class: ans, var: {width: 3, enc: ascii, unit: bytes}, max: 999, content: ascii, mask: secret}

# 4. Messages: fields to add, to change, and to take away (~), and the bank's rules.
# messages:
#   purchase:
#     fields:
#       18: ~
#     rules:
#       - {field: 48, must: present, when: {currency: [RUB]}}
#   increment: ~

# 5. Response codes the bank means otherwise.
# responses:
#   codes:
#     "Z9": {result: declined, decline: do_not_honor, retry: later, message: "The issuer declined"}

# 6. Timers and how often a reversal is sent again.
# behaviour:
#   timers: {response: 30s, reversal: 60s, late: 15m}

# 7. Messages from the bank's document, in hex, with their fields. The first is only what the tables above give:
# replace it by one of the bank's.
golden:
{{.Golden}}`))

// Max is the longest message the length can say, up to 8192.
func (n *newDialect) Max() int {
	room := map[string]int{"len-ascii": 10, "len-hex": 16, "len-bin": 256, "len-bcd": 100}[n.Kind]
	limit := 1
	for range min(n.Width, 4) {
		limit *= max(room, 1)
	}
	return max(16, min(8192, limit-1))
}

// text is the file. It loads it before it gives it away; name is for errors.
func (n *newDialect) text(name string) ([]byte, error) {
	if n.Title == "" {
		n.Title = "Dialect " + n.ID
	}
	if !strings.Contains(" "+strings.Join(iso.Builtins(), " ")+" ", " "+n.Like+" ") {
		return nil, usageError{fmt.Errorf("--like %q is no built-in dialect; there are %s", n.Like, strings.Join(iso.Builtins(), ", "))}
	}
	write := func() ([]byte, error) {
		var b bytes.Buffer
		err := newDialectText.Execute(&b, n)
		return b.Bytes(), err
	}
	n.Golden = "  []\n"
	text, err := write()
	if err != nil {
		return nil, err
	}
	d, err := iso.ParseDialect(name, text)
	if err != nil {
		return nil, err
	}
	if n.Golden, err = firstVector(d); err != nil {
		return nil, err
	}
	if text, err = write(); err != nil {
		return nil, err
	}
	_, err = iso.ParseDialect(name, text)
	return text, err
}

// firstVector is a golden vector of the dialect's plainest message.
func firstVector(d *iso.Dialect) (string, error) {
	op := iso.OpEcho
	for _, other := range []iso.Operation{iso.OpSignOn, iso.OpPurchase} {
		if !d.Supports(op) {
			op = other
		}
	}
	v, err := (&messageValues{PAN: "4111111111111111", Expiry: "3012", Amount: 1000, Currency: "EUR", STAN: 1, RRN: "633110000001",
		SentAt: time.Date(2026, 11, 27, 10, 15, 0, 0, time.UTC), Terminal: "TERM0001", Merchant: "MERCHANT0000001", MCC: "5411",
		NameLocation: "DEMO SHOP", Country: "643", Acquirer: "123456"}).values()
	if err != nil {
		return "", err
	}
	var m iso.Message
	if err := d.Build(op, &v, &m); err != nil {
		return "", fmt.Errorf("the first vector: %w", err)
	}
	body, err := d.AppendBody(nil, &m)
	if err != nil {
		return "", err
	}
	var fields []string
	for f, value := range m.Fields {
		text := string(value)
		if d.Binary(f) {
			text = hex.EncodeToString(value)
		}
		fields = append(fields, fmt.Sprintf("%d: %s", f, strconv.Quote(text)))
	}
	return fmt.Sprintf("  - name: %s\n    mti: %q\n    hex: %q\n    fields: {%s}\n", op, m.MTI, hex.EncodeToString(body), strings.Join(fields, ", ")), nil
}
