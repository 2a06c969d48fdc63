package pattern

import "strings"

// Severities are the labels, from the gravest down; the first is none.
var Severities = [...]string{"", "Fatal", "Error", "Warning", "Info", "Debug"}

// severityWords are the words that say how grave a text is.
var severityWords = map[string]int{
	"fatal": 1, "panic": 1, "critical": 1, "crit": 1, "emerg": 1, "emergency": 1, "alert": 1,
	"error": 2, "errors": 2, "err": 2, "exception": 2, "fail": 2, "failed": 2, "fails": 2, "failure": 2, "severe": 2, "denied": 2,
	"warn": 3, "warning": 3,
	"info": 4, "information": 4, "informational": 4, "notice": 4,
	"debug": 5, "trace": 5, "verbose": 5,
}

// levelNames are the names of fields that hold the severity.
var levelNames = map[string]bool{"level": true, "lvl": true, "severity": true, "loglevel": true, "log_level": true, "levelname": true, "sev": true}

// severity finds the severity of a mask: what a field named level says, else
// the letter that a klog line begins with, else the gravest of its words. Keys of
// JSON are no words of the text.
func severity(mask string) int {
	if len(mask) > 2 && mask[1] == mark {
		switch mask[0] {
		case 'F':
			return 1
		case 'E':
			return 2
		case 'W':
			return 3
		case 'I':
			return 4
		case 'D':
			return 5
		}
	}
	gravest := 0
	level := false // the word before was the name of the severity
	for i := 0; i < len(mask); {
		n, isWord := place(mask, i)
		if !isWord {
			i += n
			continue
		}
		w := mask[i : i+n]
		i += n
		if len(w) > len("informational") {
			level = false
			continue
		}
		w = strings.ToLower(w)
		s := severityWords[w]
		if level && s > 0 {
			return s
		}
		level = levelNames[w]
		if s > 0 && !level && (gravest == 0 || s < gravest) && !strings.HasPrefix(mask[i:], `":`) {
			gravest = s
		}
	}
	return gravest
}
