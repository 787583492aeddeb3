/* placeholder until the room's first file */ typedef int dinf_stats_placeholder;
