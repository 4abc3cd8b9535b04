// Package sdk is what the authors of tasks use: the clients, logger and facts that a task function is given, the options
// of a task, and the errors that it returns to say more than "failed".
//
// A task is a function. Its parameters are, in any order: a [context.Context], which is cancelled when the attempt is to
// end; a *[log/slog.Logger], which writes the attempt's log; [VariableClient], [ConnectionClient], [XComClient],
// [DagRunClient], [Client] or an interface of your own that Client satisfies; [TaskInfo]; and values, which are bound to
// the task's inputs in their order. It returns nothing, an error, or a value and an error:
//
//	func load(ctx context.Context, log *slog.Logger, path string, limit int) ([]Row, error)
//
// Values travel between tasks as JSON by the rules of [encoding/json]; a number decoded into an any is a
// [encoding/json.Number], so that integers survive.
//
// What a bundle holds is said with package bundlev1.
package sdk

// Version is the SDK's.
const Version = "0.1.0"
