package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench/report"
)

func benchReportCommand() *cobra.Command {
	var out, title string
	c := &cobra.Command{
		Use:   "report -o report.html RESULT.json...",
		Short: "Make one self-contained HTML page of results",
		Long: `Report draws what the bench commands wrote with --json: runs, comparisons, cost
curves, goal tables. The page needs no network and holds no script.

A run does not say where it was measured; the page then describes the machine that
makes the report.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			var files []report.File
			for _, name := range names {
				text, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				files = append(files, report.File{Name: filepath.Base(name), Text: text})
			}
			machine := report.ReadMachine(filepath.Dir(out))
			var page bytes.Buffer
			if err := report.Write(&page, files, report.Options{Title: title, Machine: &machine}); err != nil {
				return err
			}
			if err := os.WriteFile(out, page.Bytes(), 0o600); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %d results, %d KiB\n", out, len(files), page.Len()>>10)
			return err
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "report.html", "file to write")
	c.Flags().StringVar(&title, "title", "", "title of the page")
	return c
}
