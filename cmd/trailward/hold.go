package main

import (
	"encoding/json"
	"fmt"

	"trailward/internal/term"
)

type holdCmd struct {
	List    holdListCmd    `cmd:"" help:"List the groups under legal hold."`
	Set     holdSetCmd     `cmd:"" help:"Put a group under legal hold: nothing of it expires."`
	Release holdReleaseCmd `cmd:"" help:"Release a group's legal hold."`
}

type holdListCmd struct {
	dataFlags `embed:""`
	Output    string `enum:"table,json" default:"table" help:"table, or json: an object a line."`
}

type holdSetCmd struct {
	dataFlags `embed:""`
	Group     string `arg:"" help:"Log group."`
	Reason    string `required:"" placeholder:"TEXT" help:"Why, for whoever has to decide on its release."`
}

func (holdSetCmd) Help() string {
	return `The hold is in the ledger from now on, with its reason, as its release will be.

Examples:

  trailward hold set /eks/prod/audit --reason "case 2026-17, legal, until they say so"
  trailward hold release /eks/prod/audit`
}

type holdReleaseCmd struct {
	dataFlags `embed:""`
	Group     string `arg:"" help:"Log group."`
}

func (c *holdListCmd) Run(a *app) error {
	return a.withStore(&c.dataFlags, func(l *local) error {
		enc := json.NewEncoder(a.stdout)
		table := term.NewTable(a.stdout, a.width(), []term.Column{{Name: "group"}, {Name: "since"}, {Name: "reason"}})
		for _, s := range settings(l) {
			if s.Hold == nil {
				continue
			}
			var err error
			if c.Output == "json" {
				err = enc.Encode(s)
			} else {
				err = table.Row([]string{s.Group, shortTime(s.Hold.Since), s.Hold.Reason})
			}
			if err != nil {
				return err
			}
		}
		if c.Output == "json" {
			return nil
		}
		return table.Close()
	})
}

func (c *holdSetCmd) Run(a *app) error {
	return a.withStore(&c.dataFlags, func(l *local) error {
		if err := l.store.SetHold(c.Group, c.Reason); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.stdout, term.Clean(c.Group+" is under hold: nothing of it expires"))
		return err
	})
}

func (c *holdReleaseCmd) Run(a *app) error {
	return a.withStore(&c.dataFlags, func(l *local) error {
		if err := l.store.ReleaseHold(c.Group); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.stdout, term.Clean("the hold on "+c.Group+" is released: what is past its retention expires"))
		return err
	})
}
