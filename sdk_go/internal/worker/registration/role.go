package registration

import (
	"errors"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
)

var roles = map[string]execpb.WorkerRole{
	"tasks":    execpb.WorkerRole_WORKER_ROLE_TASKS,
	"triggers": execpb.WorkerRole_WORKER_ROLE_TRIGGERS,
}

// ReadRole answers what a worker does, from its word: "tasks" or "triggers".
func ReadRole(word string) (execpb.WorkerRole, error) {
	role, known := roles[word]
	if !known {
		return execpb.WorkerRole_WORKER_ROLE_UNSPECIFIED, errors.New("a role is tasks or triggers")
	}
	return role, nil
}
