/* placeholder until the room's first file */ typedef int dinf_tasks_placeholder;
