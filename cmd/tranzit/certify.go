package main

import (
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/iso"
)

//go:embed certify.html
var certPageText string

var certPage = template.Must(template.New("certify").Parse(certPageText))

func certifyCommand() *cobra.Command {
	var dialect, host, page string
	given := map[string]string{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "certify FILE --connect HOST:PORT",
		Short: "Run a bank's test script against its host and report case by case",
		Long: `Certify connects to a bank's host (or to tranzit bank), runs the cases of a pack one after the other and says which
passed. Traces are masked, so the report can be handed to the bank. It fails when a case does.

In a dialect with authentication codes every message has one and every answer's is checked, under test keys (--key).
A step may say mac: wrong or mac: missing, to see that the host refuses such a message.`,
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
			report, err := certify(cmd.Context(), pack, certHost{dialect: d, keys: keys, address: host})
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
