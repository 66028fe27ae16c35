// main.c - The Gilded Griffin: the window or the paper that stands in for it, and the game's loop.
// SPDX-License-Identifier: MIT
#include "options.h"
#include "panel.h"
#include "play.h"
#include "report.h"
#include "room.h"

#include "repartee_load/gpu_load.h"

#include <SDL.h>
#include <SDL_image.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct picture {
    SDL_Window *window;
    SDL_Surface *paper; // without a display
    SDL_Renderer *renderer;
} picture;

typedef struct evening {
    options o;
    picture picture;
    game game;
    minds minds;
    room room;
    panel panel;
    input_line input;
    play play;
    gpu_load *load;   // NULL: none
    frame_times times;
    double quiet;     // seconds in which nobody spoke to the player
    who near;
    bool running, pictured;
} evening;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

// --- the picture ------------------------------------------------------------------------------------------------------------------

static bool open_picture(picture *p, bool headless)
{
    if (headless) {
        SDL_setenv("SDL_VIDEODRIVER", "dummy", 1);
    }
    SDL_SetHint(SDL_HINT_IME_SHOW_UI, "1");
    if (SDL_Init(SDL_INIT_VIDEO | SDL_INIT_TIMER) != 0) {
        fprintf(stderr, "griffin: SDL does not start: %s (--headless plays without a display)\n", SDL_GetError());
        return false;
    }
    if (headless) {
        p->paper = SDL_CreateRGBSurfaceWithFormat(0, VIEW_WIDTH, VIEW_HEIGHT, 32, SDL_PIXELFORMAT_ARGB8888);
        p->renderer = p->paper ? SDL_CreateSoftwareRenderer(p->paper) : NULL;
    } else {
        const char *driver = SDL_GetCurrentVideoDriver(); // SDL takes one without a picture where there is no other
        if (!SDL_getenv("SDL_VIDEODRIVER") && driver && (strcmp(driver, "dummy") == 0 || strcmp(driver, "offscreen") == 0)) {
            fprintf(stderr, "griffin: there is no display (--headless plays without one)\n");
            return false;
        }
        p->window = SDL_CreateWindow("The Gilded Griffin", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, VIEW_WIDTH, VIEW_HEIGHT,
                                     SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI);
        p->renderer = p->window ? SDL_CreateRenderer(p->window, -1, SDL_RENDERER_ACCELERATED | SDL_RENDERER_PRESENTVSYNC) : NULL;
        if (p->window && !p->renderer) {
            p->renderer = SDL_CreateRenderer(p->window, -1, 0);
        }
        if (p->renderer) {
            SDL_RenderSetLogicalSize(p->renderer, VIEW_WIDTH, VIEW_HEIGHT);
        }
    }
    if (!p->renderer) {
        fprintf(stderr, "griffin: no picture: %s (--headless plays without a display)\n", SDL_GetError());
        return false;
    }
    return true;
}

static void close_picture(picture *p)
{
    if (p->renderer) {
        SDL_DestroyRenderer(p->renderer);
    }
    if (p->window) {
        SDL_DestroyWindow(p->window);
    }
    SDL_FreeSurface(p->paper);
    SDL_Quit();
}

static bool save_picture(picture *p, const char *path)
{
    SDL_Surface *surface = p->paper;
    if (!surface) {
        int w, h;
        SDL_GetRendererOutputSize(p->renderer, &w, &h);
        surface = SDL_CreateRGBSurfaceWithFormat(0, w, h, 32, SDL_PIXELFORMAT_ARGB8888);
        if (surface) {
            SDL_RenderReadPixels(p->renderer, NULL, SDL_PIXELFORMAT_ARGB8888, surface->pixels, surface->pitch);
        }
    }
    SDL_Surface *flat = surface ? SDL_ConvertSurfaceFormat(surface, SDL_PIXELFORMAT_RGB24, 0) : NULL;
    bool fine = flat && IMG_SavePNG(flat, path) == 0;
    if (!fine) {
        fprintf(stderr, "griffin: %s cannot be written: %s\n", path, SDL_GetError());
    }
    SDL_FreeSurface(flat);
    if (surface != p->paper) {
        SDL_FreeSurface(surface);
    }
    return fine;
}

// --- the player ---------------------------------------------------------------------------------------------------------------------

static void take_key(evening *e, const SDL_KeyboardEvent *key)
{
    if (e->input.composing[0]) {
        return; // the input method's
    }
    if (key->keysym.sym == SDLK_BACKSPACE) {
        input_erase(&e->input);
    } else if (key->keysym.sym == SDLK_ESCAPE) {
        if (e->input.text[0]) {
            e->input.text[0] = 0;
        } else {
            e->running = false;
        }
    } else if ((key->keysym.sym == SDLK_RETURN || key->keysym.sym == SDLK_KP_ENTER) && !key->repeat && e->input.text[0]) {
        if (minds_say(&e->minds, game_nearest(&e->game), e->input.text)) {
            e->input.text[0] = 0;
        }
    } else if (key->keysym.sym == SDLK_v && (key->keysym.mod & KMOD_CTRL)) {
        char *pasted = SDL_GetClipboardText();
        if (pasted) {
            input_add(&e->input, pasted);
            SDL_free(pasted);
        }
    }
}

static void take_input(evening *e)
{
    SDL_Event event;
    while (SDL_PollEvent(&event)) {
        if (event.type == SDL_QUIT) {
            e->running = false;
        } else if (event.type == SDL_TEXTINPUT) {
            input_add(&e->input, event.text.text);
            e->input.composing[0] = 0;
            e->input.blink = 0;
        } else if (event.type == SDL_TEXTEDITING) {
            snprintf(e->input.composing, sizeof(e->input.composing), "%s", event.edit.text);
        } else if (event.type == SDL_KEYDOWN) {
            take_key(e, &event.key);
        }
    }
}

// Arrows always walk; letters do while nothing is being typed and the player stands with nobody.
static int walking(const evening *e)
{
    const Uint8 *keys = SDL_GetKeyboardState(NULL);
    bool letters = !e->input.text[0] && game_nearest(&e->game) == NOBODY;
    int left = keys[SDL_SCANCODE_LEFT] || (letters && keys[SDL_SCANCODE_A]);
    int right = keys[SDL_SCANCODE_RIGHT] || (letters && keys[SDL_SCANCODE_D]);
    return right - left;
}

// The others talk among themselves while nobody talks to them; whoever the player walks up to gets ready.
static void keep_company(evening *e, double seconds)
{
    who near = game_nearest(&e->game);
    if (near != e->near && near != NOBODY) {
        minds_approach(&e->minds, near);
    }
    e->near = near;
    e->quiet = minds_answering(&e->minds) || e->input.text[0] ? 0 : e->quiet + seconds;
    if (!e->o.play && e->quiet > 12) {
        e->quiet = 4;
        minds_chatter(&e->minds);
    }
}

// --- the loop -----------------------------------------------------------------------------------------------------------------------

static void draw(evening *e)
{
    SDL_SetRenderDrawColor(e->picture.renderer, 8, 5, 4, 255);
    SDL_RenderClear(e->picture.renderer);
    room_draw(&e->room, &e->game);
    panel_draw(&e->panel, &e->game, &e->input, !e->o.headless);
    rp_stats stats;
    rp_world_get_stats(e->minds.world, &stats);
    graph_draw(&e->panel, &e->times, e->o.budget_us == RP_BUDGET_PACED ? stats.pacer_budget_us : e->o.budget_us);
}

// A game's larger rendering, drawn and waited for. The load has an OpenGL context of its own: the window's makes way for it.
static bool draw_load(evening *e)
{
    if (!e->load) {
        return true;
    }
    SDL_GLContext own = e->picture.window ? SDL_GL_GetCurrentContext() : NULL;
    if (own) {
        SDL_GL_MakeCurrent(e->picture.window, NULL);
    }
    bool fine = gpu_load_begin(e->load) && gpu_load_end(e->load);
    if (own) {
        SDL_GL_MakeCurrent(e->picture.window, own);
    }
    return fine;
}

static void take_picture(evening *e)
{
    if (e->o.screenshot && !e->pictured) {
        e->pictured = save_picture(&e->picture, e->o.screenshot);
    }
}

static void run_frame(evening *e, double seconds)
{
    uint64_t begin = now_us();
    int direction = 0;
    if (!e->o.headless) {
        take_input(e);
        direction = walking(e);
    }
    if (e->o.play) {
        direction = play_advance(&e->play, &e->minds, seconds);
    }
    e->input.blink += seconds;
    game_advance(&e->game, seconds, direction);
    keep_company(e, seconds);
    uint64_t before = now_us();
    minds_update(&e->minds, e->o.budget_us, seconds);
    uint64_t after = now_us();
    room_advance(&e->room, &e->game, seconds);
    if (!draw_load(e)) {
        fprintf(stderr, "griffin: --gpu-load: the device stopped drawing; the evening goes on without\n");
        gpu_load_destroy(e->load);
        e->load = NULL;
    }
    draw(e);
    if (e->play.wants_picture) {
        e->play.wants_picture = false;
        take_picture(e);
    }
    uint64_t drawn = now_us();
    times_add(&e->times, (uint32_t)(after - before), (uint32_t)(drawn - begin - (after - before)));
    SDL_RenderPresent(e->picture.renderer);
    if (!e->o.headless || e->o.load_ms > 0) {
        rp_world_frame(e->minds.world, (uint32_t)(now_us() - begin));
    }
}

static volatile sig_atomic_t asked_to_end;

static void ask_to_end(int number)
{
    (void)number;
    asked_to_end = 1;
}

// SDL makes an event of these signals, which nobody reads without a display. A second one ends the process as ever.
static void hear_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_end, .sa_flags = SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void run(evening *e)
{
    uint64_t last = now_us();
    e->running = true;
    e->near = NOBODY;
    hear_signals();
    while (e->running && !asked_to_end) {
        uint64_t now = now_us();
        double seconds = (double)(now - last) / 1e6;
        last = now;
        run_frame(e, e->o.headless ? 1.0 / 60 : seconds > 0.1 ? 0.1 : seconds);
        if ((e->o.frames && e->times.count >= e->o.frames) || (e->o.play && play_is_over(&e->play))) {
            e->running = false;
        }
        uint64_t took = now_us() - now;
        if (e->o.headless && e->o.paced && took < 16667) {
            SDL_Delay((Uint32)((16667 - took) / 1000));
        }
    }
}

static bool open_load(evening *e)
{
    char problem[256];
    const gpu_load_def def = {.milliseconds = e->o.load_ms, .cuda_device = 0};
    if (e->o.load_ms == 0 || gpu_load_create(&def, &e->load, problem)) {
        return true;
    }
    fprintf(stderr, "griffin: --gpu-load: %s\n", problem);
    return false;
}

static bool open_evening(evening *e)
{
    if (!game_start(&e->game)) {
        fprintf(stderr, "griffin: out of memory\n");
        return false;
    }
    if (!open_load(e)) { // before there is a window, whose context it would take away
        return false;
    }
    if (!open_picture(&e->picture, e->o.headless) || !panel_open(&e->panel, e->picture.renderer)) {
        return false;
    }
    if (!room_open(&e->room, e->picture.renderer)) {
        fprintf(stderr, "griffin: the room cannot be painted: %s\n", SDL_GetError());
        return false;
    }
    SDL_DisplayMode mode;
    int rate = !e->o.headless && SDL_GetCurrentDisplayMode(0, &mode) == 0 && mode.refresh_rate > 0 ? mode.refresh_rate : 60;
    e->o.minds.frame_us = (uint32_t)(1060000 / rate); // a little more than the display's own, whose waiting is not exact
    e->minds.verbose = e->o.verbose;
    if (!minds_open(&e->minds, &e->o.minds, &e->game)) {
        return false;
    }
    if (e->o.play && !play_open(&e->play, &e->game, e->o.play)) {
        return false;
    }
    if (!e->o.headless) {
        SDL_Rect place = panel_input_place();
        SDL_StartTextInput();
        SDL_SetTextInputRect(&place);
    }
    return true;
}

int main(int count, char **words)
{
    static evening e;
    int exit_code;
    if (!options_read(&e.o, count, words, &exit_code)) {
        return exit_code;
    }
    bool fine = open_evening(&e);
    if (fine) {
        run(&e);
        take_picture(&e);
        report_def report = {.path = e.o.report, .picture = e.pictured ? e.o.screenshot : NULL, .budget_us = e.o.budget_us, .load = e.load};
        if (e.o.headless || e.o.report) {
            report_print(&report, &e.minds, &e.times);
        }
        fine = !e.o.report || report_write(&report, &e.minds, &e.times);
        fine = fine && (!e.o.screenshot || e.pictured);
    }
    minds_close(&e.minds);
    play_close(&e.play);
    room_close(&e.room);
    panel_close(&e.panel);
    close_picture(&e.picture);
    gpu_load_destroy(e.load);
    times_end(&e.times);
    game_end(&e.game);
    return fine ? 0 : 1;
}
