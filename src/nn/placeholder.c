/* placeholder until the room's first file */ typedef int dinf_nn_placeholder;
