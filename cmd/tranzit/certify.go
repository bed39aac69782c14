package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/iso"
)

//go:embed certify.html
var certPageText string

var certPage = template.Must(template.New("certify").Parse(certPageText))

func certifyCommand() *cobra.Command {
	var dialect, host, control, page string
	given := map[string]string{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "certify FILE --connect HOST:PORT",
		Short: "Run a bank's test script against its host and report case by case",
		Long: `Certify connects to a bank's host (or to tranzit bank), runs the cases of a pack one after the other and says which
passed. Traces are masked, so the report can be handed to the bank. It fails when a case does.

In a dialect with authentication codes every message has one and every answer's is checked, under test keys (--key).
A step may say mac: wrong or mac: missing, to see that the host refuses such a message.

A step with do: TEXT has the bank do something, such as not to answer or to send its echo. With --control the
simulator does what stands beside it under bank; else the text is shown, and the case goes on when Enter is pressed.
docs/certification.md explains packs, and docs/certification holds some.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			d, err := iso.Resolve(dialect)
			if err != nil {
				return err
			}
			keys, err := testKeys(d, given)
			if err != nil {
				return err
			}
			pack, err := loadPack(files[0], d)
			if err != nil {
				return err
			}
			desk := certDesk{control: control, in: bufio.NewReader(cmd.InOrStdin()), out: cmd.ErrOrStderr()}
			report, err := certify(cmd.Context(), pack, certHost{dialect: d, keys: keys, address: host, ask: desk.ask})
			if err != nil {
				return err
			}
			if page != "" {
				if err := writePage(page, report); err != nil {
					return err
				}
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				report.print(cmd.OutOrStdout())
			}
			if err == nil && report.Failed > 0 {
				err = fmt.Errorf("%d of %d cases failed", report.Failed, report.Failed+report.Passed)
			}
			return err
		},
	}
	c.Flags().StringVarP(&dialect, "dialect", "d", "ascii87", "built-in dialect or dialect file")
	testKeyFlag(c, &given)
	c.Flags().StringVar(&host, "connect", "", "host:port of the bank (required)")
	c.Flags().StringVar(&control, "control", "", "host:port of a simulator's control port, which does what steps want of the bank; without it people are asked")
	c.Flags().StringVar(&page, "html", "", "file for the report as one self-contained page")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if err := c.MarkFlagRequired("connect"); err != nil {
		panic(err)
	}
	return c
}

// testKeyFlag takes keys in clear: of test hosts, never of a bank's line.
func testKeyFlag(c *cobra.Command, given *map[string]string) {
	c.Flags().StringToStringVar(given, "key", nil, "SLOT=HEX: a test key in clear that the dialect names")
}

// testKeys are the keys of a command line, which must be all that the dialect names.
func testKeys(d *iso.Dialect, given map[string]string) (iso.ClearKeys, error) {
	keys := iso.ClearKeys{}
	for slot, text := range given {
		key, err := hex.DecodeString(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--key %s must be hex digits", slot)}
		}
		keys[slot] = key
	}
	if err := keys.Validate(d); err != nil {
		return nil, usageError{fmt.Errorf("%w; give it as --key SLOT=HEX", err)}
	}
	return keys, nil
}

// certDesk has the bank do things: by a simulator's control port, or by people.
type certDesk struct {
	control string
	in      *bufio.Reader
	out     io.Writer
}

func (c *certDesk) ask(ctx context.Context, s *certStep) error {
	if c.control == "" {
		fmt.Fprintf(c.out, "The bank: %s. Press Enter when it is done. ", s.Do)
		if _, err := c.in.ReadString('\n'); err != nil {
			return fmt.Errorf("nobody says that the bank did this: %s", s.Do)
		}
		return nil
	}
	if s.Bank == nil {
		return fmt.Errorf("the step does not say how a simulator does this: %s", s.Do)
	}
	text, err := json.Marshal(s.Bank)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.control+"/control", bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the simulator refuses: %s", bytes.TrimSpace(said))
	}
	return err
}

func writePage(path string, report *certReport) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(certPage.Execute(out, report), out.Close())
}

func (r *certReport) print(out io.Writer) {
	for _, c := range r.Cases {
		result := "pass"
		if !c.Passed {
			result = "FAIL"
		}
		fmt.Fprintf(out, "%s  %-12s %s\n", result, c.ID, c.Title)
		if c.Fault != "" {
			fmt.Fprintf(out, "      %s\n", c.Fault)
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", r.Passed, r.Failed)
}
