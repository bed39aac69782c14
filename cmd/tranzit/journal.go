package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// journalFlags say which journal is meant: a stopped switch's directory or a
// running switch's admin listener.
type journalFlags struct {
	data, admin string
	json        bool
}

func journalCommand() *cobra.Command {
	var f journalFlags
	c := &cobra.Command{
		Use:   "journal",
		Short: "Read a journal: offline from its directory, or through a running switch",
	}
	c.PersistentFlags().StringVar(&f.data, "data", "tranzit-data", "data directory of a stopped switch")
	c.PersistentFlags().StringVar(&f.admin, "admin", "", "admin address of a running switch, instead of --data")
	c.PersistentFlags().BoolVar(&f.json, "json", false, "print JSON")
	c.AddCommand(
		&cobra.Command{Use: "show PAYMENT", Short: "Print every event of a payment, with its messages decoded and masked",
			Args: args(cobra.ExactArgs(1)), RunE: func(cmd *cobra.Command, a []string) error { return journalShow(cmd.OutOrStdout(), f, a[0]) }},
		&cobra.Command{Use: "stats", Short: "Count payments and sum amounts by bank, currency and status",
			Args: args(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return journalStats(cmd.OutOrStdout(), f) }},
		&cobra.Command{Use: "verify", Short: "Prove the hash chain from the first batch to the head",
			Args: args(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return journalVerify(cmd, f) }},
		&cobra.Command{Use: "export", Short: "Print every event as one JSON line, in the order of payment ids",
			Args: args(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return journalExport(cmd, f) }},
	)
	return c
}

// withJournal opens the directory's journal for reading.
func withJournal(f journalFlags, do func(*storage.Store) error) error {
	store, err := storage.Open(storage.Options{Dir: filepath.Join(f.data, "journal"), ReadOnly: true})
	if err != nil {
		return fmt.Errorf("journal: %w (a running switch holds its journal: use --admin ADDRESS)", err)
	}
	return errors.Join(do(store), store.Close())
}

func journalShow(out io.Writer, f journalFlags, text string) error {
	_, id, ok := payswitch.ParsePaymentID(text)
	if !ok {
		return usageError{fmt.Errorf("%q is not the id of a payment, a payout or a verification (pay_, po_ or ver_ and 26 characters)", text)}
	}
	var events []payswitch.TimelineEvent
	if f.admin != "" {
		var got struct {
			Events []payswitch.TimelineEvent `json:"events"`
		}
		if err := getAdmin(f.admin, "/admin/v1/payments/"+text, &got); err != nil {
			return err
		}
		events = got.Events
	} else if err := withJournal(f, func(store *storage.Store) (err error) {
		events, err = payswitch.Story(store, id, builtinOf)
		return err
	}); err != nil {
		return err
	}
	if f.json {
		return printJSON(out, events)
	}
	for _, e := range events {
		fmt.Fprintf(out, "%3d  %s  %-18s %-10s %s\n", e.Version, e.At.Format("2006-01-02T15:04:05.000Z"), e.Type, e.Status, e.Detail)
		if e.Message == nil {
			continue
		}
		fmt.Fprintf(out, "     %s %s\n", e.Message.Direction, e.Message.MTI)
		for _, field := range e.Message.Fields {
			fmt.Fprintf(out, "       %3d  %-34s %s\n", field.Number, field.Name, field.Value)
		}
	}
	return nil
}

// builtinOf stands in for the dialect of a bank that is not configured here:
// a stored message is decoded field by field under any dialect.
func builtinOf(string, iso.Revision) *iso.Dialect {
	d, err := iso.Builtin("ascii87")
	if err != nil {
		return nil
	}
	return d
}

func journalStats(out io.Writer, f journalFlags) error {
	var stats admin.JournalStats
	if f.admin != "" {
		if err := getAdmin(f.admin, "/admin/v1/journal/stats", &stats); err != nil {
			return err
		}
	} else if err := withJournal(f, func(store *storage.Store) (err error) {
		stats.Totals, err = payswitch.Total(store)
		stats.Store = store.Stats()
		return err
	}); err != nil {
		return err
	}
	if f.json {
		return printJSON(out, stats)
	}
	fmt.Fprintf(out, "%d payments, %d records\n\n", stats.Totals.Payments, stats.Totals.Records)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "bank\tcurrency\tstatus\tpayments\tminor units\t")
	for _, l := range stats.Totals.Lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t\n", l.Bank, l.Currency, l.Status, l.Count, l.Amount)
	}
	return w.Flush()
}

func journalVerify(cmd *cobra.Command, f journalFlags) error {
	var report storage.Report
	if f.admin != "" {
		if err := getAdmin(f.admin, "/admin/v1/journal/verify", &report); err != nil {
			return err
		}
	} else if err := withJournal(f, func(store *storage.Store) (err error) {
		report, err = store.Verify(cmd.Context(), func(uint64, uint64) {})
		return err
	}); err != nil {
		return err
	}
	if f.json {
		return printJSON(cmd.OutOrStdout(), report)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "the chain holds: %d batches, %d records, head %x\n", report.Batches, report.Records, report.Head)
	return nil
}

func journalExport(cmd *cobra.Command, f journalFlags) error {
	if f.admin != "" {
		return streamAdmin(cmd.Context(), f.admin+"/admin/v1/journal/export", cmd.OutOrStdout())
	}
	return withJournal(f, func(store *storage.Store) error { return admin.WriteExport(store, cmd.OutOrStdout()) })
}
