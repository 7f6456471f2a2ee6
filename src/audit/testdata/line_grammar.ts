/** The grammar of a log line, written apart from the code that renders it. */
export const LINE_GRAMMAR =
  /^(mono:\d+|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (ERROR|WARN|INFO|DEBUG|TRACE) [a-z]+ ([A-Z0-9_]+(:[A-Za-z0-9._/+%-]*)*|[a-z0-9_]+)( [a-z_]+=("([^"\\]|\\.)*"|[^\s"=]+))*$/;
